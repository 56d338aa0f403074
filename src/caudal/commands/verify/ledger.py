"""Is the ledger whole, and in step with the lake?"""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from caudal.commands.verify.fault import Fault, Findings, Verified
from caudal.errors import EnvironmentProblem, StorageDamaged
from caudal.graph.registered import steps_where
from caudal.ledger.faults import BACKUP
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import steps
from caudal.storage import delta
from caudal.storage.driver import url_with_driver
from caudal.tables.home import Home

_TOLD = 3


def check_ledger(home: Home, findings: Findings) -> Ledger | None:
    """Look into the ledger's database, and return the ledger where it can be used.

    Raises
    ------
    EnvironmentProblem : it cannot be asked now: locked, away, not to be written
    """
    file = _file(home)
    findings.checked["ledger"] += 1
    if file is not None and file.exists() and (wrong := _wrong(file)):
        findings.faults.append(Fault("ledger", None, "ledger", str(file), f"The ledger '{file}' is damaged: {wrong}.", BACKUP))
        return None
    try:
        return home.ledger()
    except StorageDamaged as problem:
        findings.faults.append(Fault("ledger", None, "ledger", str(file or home.path), problem.what, BACKUP))
        return None


def check_step(told: Verified, product: str, ledger: Ledger) -> None:
    """Hold that no table is older than the ledger says: then the lake was put back from an older backup than the ledger."""
    newest: dict[str, int] = {}
    try:
        for row in ledger.find(steps, product=product, state=["succeeded", "skipped"]):
            if row["kind"] in steps_where(writes="table") and row["output_version"] is not None:
                newest[row["name"]] = row["output_version"]
    except DBAPIError as error:
        told.findings.faults.append(Fault("ledger", product, "ledger", "", f"The ledger cannot be read: {error.orig}.", BACKUP))
        return
    for name, number in newest.items():
        folder = told.home.table(product, name)
        try:
            there = delta.version_of(folder)
        except EnvironmentProblem:
            continue
        if there is None or there < number:
            how = "is not there" if there is None else f"has only versions up to {there}"
            told.findings.faults.append(
                Fault(
                    "table", product, name, str(folder), f"The ledger says that table '{name}' is at version {number}, and it {how}.",
                    f"If it was put back from a backup, put back the ledger of that time too; else make it again: "
                    f"caudal backfill {told.folder(product)} --table {name} {told.at_home()}",
                )
            )  # fmt: skip


def check_mlflow(told: Verified) -> None:
    """Look into MLflow's database, which nothing is decided by."""
    file = told.home.path / "mlflow.db"
    if file.exists():
        told.findings.checked["mlflow"] += 1
        if wrong := _wrong(file):
            told.findings.faults.append(
                Fault(
                    "mlflow", None, "mlflow", str(file), f"MLflow's store '{file}' is damaged: {wrong}.",
                    f"Move it away: mv {shlex.quote(str(file))} {shlex.quote(str(file) + '.damaged')}. A new one is made; what is in production the ledger says.",
                )
            )  # fmt: skip


def _wrong(file: Path) -> str | None:
    """Return what SQLite finds wrong with a database: its pages, indexes and keys; None where nothing is."""
    if not file.stat().st_size:
        return None  # whether it should be is asked elsewhere
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(10)")]
            if found != ["ok"]:
                return "; ".join(found[:_TOLD]).replace("\n", " ")
            broken = database.execute("PRAGMA foreign_key_check").fetchall()
            return f"{len(broken)} rows name others that are not there" if broken else None
    except sqlite3.OperationalError as error:
        return str(error) if "malformed" in str(error) else None  # locked, or not to be opened: whoever uses it says so
    except sqlite3.DatabaseError as error:
        return str(error)


def _file(home: Home) -> Path | None:
    url = make_url(home.url)
    database = url_with_driver(home.url).database if url.get_backend_name() == "sqlite" else None
    return Path(database) if database else None
