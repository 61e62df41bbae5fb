"""E-mail: an outbox written with the change, sent by jobs over SMTP."""
