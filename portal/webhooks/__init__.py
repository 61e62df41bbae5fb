"""Webhooks: programs of a tenant's own that are told what happened, by the Standard Webhooks.

Owns: endpoints (where, what of, how they are), their secrets (sealed, shown once), and deliveries: one row for each
event and endpoint that wants it.
States of an endpoint: ``healthy``, ``failing`` (the last attempt failed), ``disabled`` (by a person, by 410 Gone, or
after three days of failures). Of a delivery: ``waiting``, ``delivered``, ``failed`` (ten attempts, or refused).
Invariants: an event that was committed while an endpoint listened reaches it at least once, with one id, or its
delivery says why not; nothing is dialled but through the egress guard and outside transactions; one worker at a time
talks to an endpoint, and one that fails rests, so that a dead one starves nobody; of what a receiver says nothing is
kept but the status.
"""
