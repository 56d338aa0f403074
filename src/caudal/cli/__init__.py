"""The command line: flags in, one call, a display or one JSON document out."""

# ``caudal --help`` lists the commands in the order of this import.
from caudal.cli import batch, daemon, streams, tables, models, audit, access, governance, platforms  # isort: skip
from caudal.cli.app import main

__all__ = ["access", "audit", "batch", "daemon", "governance", "main", "models", "platforms", "streams", "tables"]
