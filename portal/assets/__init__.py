"""Assets: the files that people have, each one a fact about bytes that were looked at.

Owns: assets with their verdict, metadata and variants; the policy of what may be uploaded.
States: processing → available | quarantined | failed; available | failed → deleted (the trash) → purged;
quarantined → available when an admin releases it.
Invariants:
- What can be downloaded is exactly what was scanned: one immutable object, one verdict, one SHA-256.
- No verdict is never "clean": a scanner that is away is waited for, one without signatures vouches for nothing.
- Type is decided by content, extension and policy together; what the client declares decides nothing.
- Restoring from the trash returns to the state before and never skips a verdict.
- A failed preview is not a failed file.
"""
