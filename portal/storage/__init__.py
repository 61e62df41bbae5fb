"""Storage profiles: the buckets that workspaces keep their files in, their tests, health and policies.

Owns: the storage profile (one active in each workspace; every object remembers the one it was written with), and what
the deployment's own store was found to do.
Invariants: browsers only ever get write access to staging keys, each bound to its exact type and length; what people
read is at keys that were never signed for writing. No transaction is open while the network is used. A customer's
secret is sealed in its row (``vault``), decrypted only for a client or a signature, and shown to nobody; a customer's
endpoint is dialled through ``network.egress`` only.
"""
