"""Quarantine: files that the virus scan set aside, and what admins decide about them. Owns the table of decisions.

- A quarantined file is an asset in state ``quarantined``; its bytes lie under a key for which nothing is ever signed.
- The pages show everything but the content. Bytes leave only as an encrypted zip, after the password was given again.
- A decision has a reason, is one compare-and-set, and is recorded with an audit event and an event. Of two who decide
  at once one wins; the other gets a conflict. What a worker has to do stands on the asset's row until it is done.
- A released file was scanned once more at the key it is served from; nobody releases what they uploaded themselves.
- A file about which nobody decides is removed seven days after it was quarantined; until then it uses space.
"""
