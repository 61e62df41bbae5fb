"""The outgoing e-mails for operators: waiting, sent, given up, and stored because there is no mail server."""
