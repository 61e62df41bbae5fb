"""Identity: users, their sessions and API tokens. Says who somebody is, never what they may.

Owns ``users``, ``sessions`` and ``api_tokens``, all global: a person belongs to any number of tenants.
- Passwords are argon2id hashes; a login says the same for a wrong address and a wrong password, and is rate-limited.
- A token is shown once and kept as a SHA-256; it is named, may expire, can be revoked.
- A session is a row that its cookie names by a secret, and can be ended from anywhere (``sessions``); whoever is not
  ``active`` has neither session nor token.
- ``is_operator`` runs the installation; it opens no tenant's files.
"""
