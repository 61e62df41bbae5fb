"""Assets: verified files.

Owns: assets with their scan result, metadata and variants; rescans, purge, orders of the quarantine.
States: processing → available | quarantined | failed; available | failed → deleted (the trash) → purged;
quarantined → available when an admin releases it.
Invariants:
- What can be downloaded is exactly what was scanned: one immutable object, one scan result, one SHA-256.
- "Not scanned" is never "clean": a file waits for a scanner that is unavailable, and a scanner without signatures does
  not count as one.
- Content, extension and policy together decide the type; what the client declares decides nothing.
- Restoring from the trash returns a file to its state before, and never skips a scan.
- A failed preview is not a failed file.
"""
