"""HTTP as we speak it to other systems: guarded, bounded, one exchange at a time."""
