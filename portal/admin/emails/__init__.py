"""The outgoing mail for operators: what waits, what was given up, and what is kept because there is no mail server."""
