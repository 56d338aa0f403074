"""Checks of the ledger: whether its database is intact and agrees with the lake."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from caudal.commands.verify.fault import Findings, HomeFault, Verification
from caudal.errors import EnvironmentProblem, StorageDamaged
from caudal.graph.registered import steps_where
from caudal.ledger.faults import BACKUP
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import steps
from caudal.storage import delta
from caudal.storage.driver import url_with_driver
from caudal.tables.home import Home

_MESSAGES_SHOWN = 3


def check_ledger(home: Home, findings: Findings) -> Ledger | None:
    """Check the ledger's database, and return the ledger where it can be used.

    Raises
    ------
    EnvironmentProblem : the ledger is not available: locked, unreachable or read-only
    """
    file = _file(home)
    findings.checked["ledger"] += 1
    if file is not None and file.exists() and (damage := _damage_of(file)):
        findings.faults.append(HomeFault("ledger", None, "ledger", str(file), f"The ledger '{file}' is damaged: {damage}.", BACKUP))
        return None
    try:
        return home.ledger()
    except StorageDamaged as problem:
        findings.faults.append(HomeFault("ledger", None, "ledger", str(file or home.path), problem.what, BACKUP))
        return None


def check_table_versions(verification: Verification, product: str, ledger: Ledger) -> None:
    """Check that no table is older than the ledger says, as after restoring the lake from an older backup than the ledger."""
    newest: dict[str, int] = {}
    try:
        for row in ledger.find(steps, product=product, state=["succeeded", "skipped"]):
            if row["kind"] in steps_where(writes="table") and row["output_version"] is not None:
                newest[row["name"]] = row["output_version"]
    except DBAPIError as error:
        verification.findings.faults.append(
            HomeFault("ledger", product, "ledger", "", f"The ledger cannot be read: {error.orig}.", BACKUP)
        )
        return
    for name, number in newest.items():
        folder = verification.home.table(product, name)
        try:
            found_version = delta.version_of(folder)
        except EnvironmentProblem:
            continue
        if found_version is None or found_version < number:
            difference = "is not there" if found_version is None else f"has only versions up to {found_version}"
            verification.findings.faults.append(
                HomeFault(
                    "table", product, name, str(folder), f"The ledger says that table '{name}' is at version {number}, and it {difference}.",
                    f"If it was put back from a backup, put back the ledger of that time too; else make it again: "
                    f"caudal backfill {verification.folder(product)} --table {name} {verification.home_options()}",
                )
            )  # fmt: skip


def check_mlflow(verification: Verification) -> None:
    """Check MLflow's database, on which no decision depends."""
    file = verification.home.path / "mlflow.db"
    if file.exists():
        verification.findings.checked["mlflow"] += 1
        if damage := _damage_of(file):
            verification.findings.faults.append(
                HomeFault(
                    "mlflow", None, "mlflow", str(file), f"MLflow's store '{file}' is damaged: {damage}.",
                    f"Move it away: mv {shlex.quote(str(file))} {shlex.quote(str(file) + '.damaged')}. A new one is made; what is in production the ledger says.",
                )
            )  # fmt: skip


def _damage_of(file: Path) -> str | None:
    """Return the damage that SQLite finds in a database's pages, indexes and keys; None where there is none."""
    if not file.stat().st_size:
        return None  # an empty file is checked elsewhere
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            messages = [str(row[0]) for row in database.execute("PRAGMA integrity_check(10)")]
            if messages != ["ok"]:
                return "; ".join(messages[:_MESSAGES_SHOWN]).replace("\n", " ")
            broken = database.execute("PRAGMA foreign_key_check").fetchall()
            return f"{len(broken)} rows name others that are not there" if broken else None
    except sqlite3.OperationalError as error:
        return str(error) if "malformed" in str(error) else None  # locked, or cannot be opened: its users report that
    except sqlite3.DatabaseError as error:
        return str(error)


def _file(home: Home) -> Path | None:
    url = make_url(home.url)
    database = url_with_driver(home.url).database if url.get_backend_name() == "sqlite" else None
    return Path(database) if database else None
