"""The probe: tests step by step what a store really does; a capability counts only once it was seen.

Knows only ``objectstore``, ``network`` and itself: no table, no profile. ``runner.Probe`` goes through the steps in
order, each with a time limit, and yields each result as it is known; its ``verdict`` turns them into health, a reason
and capabilities. ``storage.probe_runs`` runs it for a profile.

Invariants: only keys below ``.stowage/`` under the profile's own prefix are touched. Whatever a probe wrote is deleted
at its end, and what a killed one left at the start of the next. Other people's rules (CORS, lifecycle, policy) are
never removed. Nothing is written where another owner's marker stands. Texts are ours; the store's own code goes to the
log.
"""
