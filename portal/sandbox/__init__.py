"""Child processes without rights, for code that reads untrusted bytes. Knows no file format.

`process.run` starts a child, names a function of ours to it, and waits. Before that function's module is imported the
child gives up what it can (`confinement`): resource limits, its user, namespaces (`namespaces`), files (`landlock`)
and system calls (`seccomp`). `layers.missing` says which of these the kernel does not offer.
"""
