"""Uploads: sessions with a reservation.

Owns the sessions (``created → uploading → verifying → committed``, or ``aborted``, ``expired``, ``failed``), what is
signed for them, and the way from a committed session to a decision about its asset.

- A session holds a reservation until it ends, never longer; every end releases or settles it in the same transaction.
- Only staging keys are ever signed for writing, and no signature outlives ``form_expires_at``.
- What a replayed form or a late part writes afterwards is removed once more after that time (``staging.clear``).
- Large files are sent in parts: the store creates the multipart upload with the first signed part, and only the store
  knows which parts have arrived.
- Modules: one a command (``begin``, ``multipart``, ``commit``, ``cancel``, ``expire``, ``verify``), ``session`` for
  what they share, ``staging`` for the objects that were sent.
"""
