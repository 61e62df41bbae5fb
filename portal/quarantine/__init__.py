"""Quarantine: what is held back in a tenant, for its admins. Owns the decision about it, and no table yet.

- A held file is an asset in state ``quarantined``; its bytes lie under a key that is never signed for reading.
- The list tells what, who, when, which signature, engine and database, and the hash; it never shows the content.
- A held file is removed seven days after it was held.
"""
