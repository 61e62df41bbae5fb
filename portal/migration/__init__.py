"""Moving a workspace's bytes from one storage profile to another while people work.

Owns: the move, and what became of each object. Invariants: an asset is readable at every moment; it is switched by a
compare-and-set after its copy was verified; the source is kept until an owner confirms.
"""
