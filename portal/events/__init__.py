"""The outbox of events: what happened in a tenant, for its audit pages, the API and webhooks.

Owns ``events``. An event exists exactly when its change was committed; nothing is sent inside a transaction.
"""
