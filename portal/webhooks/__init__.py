"""Webhooks: events of a tenant are sent to its own programs, by the Standard Webhooks.

Owns: endpoints (address, filters, health), their secrets (sealed, shown once), and deliveries: one row for each event
and endpoint that subscribes to it.
States of an endpoint: ``healthy``, ``failing`` (the last attempt failed), ``disabled`` (by a person, by 410 Gone, or
after three days of failures). Of a delivery: ``waiting``, ``delivered``, ``failed`` (ten attempts, or refused).
Invariants: an event that was committed while an endpoint was enabled reaches it at least once, with one id, or its
delivery says why not. Nothing is dialled but through the egress guard and outside transactions. One worker at a time
sends to an endpoint, and one that fails rests, so that a dead one does not delay others. Of a receiver's answer only
the status is kept.
"""
