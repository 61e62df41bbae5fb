"""Folders: the tree below a library, what is done to it, and where in it a page stands.

Invariants: a living folder's parents live; no folder lies in itself; a name is there once among living siblings; no
tree is deeper than ``DEEPEST``. Whoever changes trees of a workspace holds its lock, so that two changes come one after
the other. Whoever puts a file into a folder holds the folder's row, so that it can't be deleted meanwhile.
"""
