"""Uploads: promises.

Owns the sessions (``created → uploading → verifying → committed``, or ``aborted``, ``expired``, ``failed``), what is
signed for them, and the road from a committed session to a verdict on its asset.

- A session holds a reservation until it ends, never longer; every end releases or settles it in the same transaction.
- Only staging keys are ever signed for writing, and no signature outlives ``form_expires_at``.
- Whatever a replayed form, or a late part, writes later is removed once more after that moment (``staging.clear``).
- Large files go in ``parts``: the store is told with the first signed part, and what it keeps of them is what there is.
- Commands: ``beginning`` (begin), ``sending`` (sign_parts), ``service`` (commit, cancel, expire, refuse),
  ``verifying`` (take_in), ``staging`` (clear).
"""
