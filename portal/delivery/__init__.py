"""Delivery: downloads. The portal issues links to the store and sends no byte itself.

Owns ``issued_links``: every link that was issued for an original, to whom, and until when.
- Only an available file has links: none while it is checked, quarantined, refused or in the trash.
- A link to an original is valid for five minutes and saves the file under its true name, never shown inline.
- A link to a derived file is valid for an hour and stays the same for half of it, so that browsers can cache it.
- A file counts as opened when its original is requested, in the transaction of the link; thumbnails do not count.
"""
