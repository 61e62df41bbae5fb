"""The probe: a store is asked what it really does, step by step, and believed in nothing that it did not show.

Owns: the steps and their words. ``engine.run`` goes through them in order, each with a time limit of its own, and
yields each result as it is known; ``engine.verdict`` turns the results into health, a reason and capabilities.
Invariants: only keys below ``.stowage/`` under the profile's own prefix are touched; whatever a probe wrote is removed
at its end, and what a killed one left at the start of the next; other people's rules (CORS, lifecycle, policy) are
never removed; nothing is written where another owner's marker stands. No provider's text leaves: words are ours, the
store's code goes to the log.
"""
