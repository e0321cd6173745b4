"""Doing the work: rings, claims, jobs, the schedule, and the processes for it."""
