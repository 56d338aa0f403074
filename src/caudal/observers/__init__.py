"""Who is told of a run: its page, alerts, OpenLineage, the kept declaration, usual times; one file each."""
