"""Observers of runs: the run's page, alerts, OpenLineage, the stored declaration; one file each."""
