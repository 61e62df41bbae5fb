"""Uploads: promises.

Owns the sessions (``created → uploading → verifying → committed``, or ``aborted``, ``expired``, ``failed``), what is
signed for them, and the road from a committed session to a verdict on its asset.

- A session holds a reservation until it ends, never longer; every end releases or settles it in the same transaction.
- Only staging keys are ever signed for writing, and no signature outlives ``form_expires_at``.
- Whatever a replayed form writes later is removed once more after that moment (``staging.clear``).
- Commands: ``beginning`` (begin), ``service`` (commit, cancel, expire, refuse), ``verifying`` (take_in),
  ``staging`` (clear).
"""
