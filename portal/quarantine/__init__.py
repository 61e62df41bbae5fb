"""Quarantine: the place for what is quarantined in a tenant. Owns the decisions about them: who, when, what and why.

- A quarantined file is an asset in state ``quarantined``; its bytes lie under a key for which nothing is ever signed.
- The desk tells everything but the content. Bytes leave as an encrypted zip alone, after the password was given again.
- A decision has a reason, is one compare-and-set, and is written down with an audit event and an event. Two who decide
  at once: one wins, the other is told. What a worker has to do stands on the asset's row until it is done.
- Released is only what was scanned once more at the key it is served from, and never by who uploaded it.
- What nobody decides about is removed seven days after it was quarantined; until then it uses space.
"""
