"""Child processes without rights, for code that reads untrusted bytes. Knows no file format."""
