"""What happened, for whoever wants to hear of it: the outbox of events, and mail.

Owns: events (written in the transaction of the change they tell of) and letters (rows that wait to be sent).
Invariants: an event or a letter exists exactly when its change was committed; nothing is sent inside a transaction, and
nothing twice; nothing here decides anything.
"""
