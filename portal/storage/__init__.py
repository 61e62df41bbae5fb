"""Where bytes live: object keys, the bucket port, and the storage profiles that name a bucket.

Owns: the storage profile (one active per workspace; every object remembers the one it was written with), the layout
of keys, everything that is said to an object store.
Invariants: browsers are only ever given write access to staging keys, each bound to its exact type and length; what
people read lies at keys that were never signed for writing. Only ``bucket`` knows S3, and no provider's words leave
it: a missing object is ``NotFound`` (or None), a changed one ``Conflict``, everything else ``Unavailable``. No
database transaction is open while the network is used. A customer's secret is sealed in its row (``vault``), opened
for a client or a signature alone, and told to nobody; a customer's endpoint is dialled through ``egress`` alone.
"""
