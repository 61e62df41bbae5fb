"""Libraries and the tree of folders in them. Folders are rows, never key prefixes."""
