"""People: who belongs to a workspace and to a tenant, and invitations. The rules of memberships are tenancy's.

Owns ``invitations``.
- An invitation is bound to its e-mail address. The token is in the e-mail only; the row has the token's SHA-256.
- The e-mail is sent by a job, so that ten thousand addresses are one request; each sending makes a new token.
- Who leaves or is removed is out with the next request: every request reads the memberships.
"""
