"""Libraries and the tree of folders in them.

Folders are rows, never key prefixes: renaming or moving one changes a row and copies no object.
"""
