"""Delivery: how bytes leave. The portal hands out links to the store and sends no byte itself.

Owns ``issued_links``: every link that was handed out by name, to whom, and until when.
- Only an available file has links; what is checked, held back, refused or in the trash has none.
- A link to an original lives five minutes and saves the file under its true name, never shown inline.
- A link to a derived file lives an hour and stays the same for half of it, so that browsers keep what it leads to.
- A file counts as opened when its original is asked for, in the transaction that notes the link; not by its thumbnails.
"""
