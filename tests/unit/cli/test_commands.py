"""The command line offers every command, in one order, and reads nothing heavy to say so."""

from __future__ import annotations

import subprocess
import sys

import typer

from caudal.cli.app import app

HEAVY = {"pyspark", "pandas", "numpy", "pyarrow", "sklearn", "deltalake", "mlflow", "luigi", "sqlalchemy", "flask", "dash", "river"}
COMMANDS = {
    "caudal": "demo new check graph run preview explain predict times status monitor sla serve up backfill stream parity broker replay console export log trace search verify debt retain erase inspect measures tunnel compare quarantine model audit key catalog",
    "quarantine": "list show replay",
    "model": "list show promote rollback history shadow canary withdraw compare",
    "audit": "show guide",
    "key": "add list revoke",
    "catalog": "build",
}


def test_every_command_is_listed_in_order():
    whole = typer.main.get_command(app)
    groups = {"caudal": whole} | {name: one for name, one in whole.commands.items() if hasattr(one, "commands")}
    listed = {name: " ".join(group.list_commands(typer.Context(group))) for name, group in groups.items()}
    assert listed == COMMANDS


def test_help_loads_nothing_heavy():
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "caudal", "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & HEAVY
