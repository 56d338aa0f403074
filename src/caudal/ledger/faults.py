"""Translate errors of the ledger's database into sentences with a fix."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from caudal.errors import EnvironmentProblem
from caudal.storage.damage import damage_error

_DAMAGED = ("malformed", "file is not a database", "file is encrypted", "database corruption", "no such table", "no such column")
BACKUP = "Put it back from a backup, with the lake of that time, and run `caudal verify`; or move the home away and run the product again."


def ledger_problem(error: DBAPIError, step: str | None = None, file: Path | None = None) -> EnvironmentProblem:
    """Return the error that explains why the ledger could not be read or written.

    Parameters
    ----------
    step : the step that was running
    file : the database, where it is a file
    """
    why = (str(error.orig).strip().splitlines() or ["no answer"])[0].rstrip(".")
    about: dict[str, str] = {"step": step} if step else {}
    during = f" in step '{step}'" if step else ""
    if not _sqlite(error):
        return EnvironmentProblem(
            f"The ledger does not answer{during}: {why}.",
            fix="Run the same command when it is available again; nothing is lost.",
            **about,
        )
    if any(sign in why for sign in _DAMAGED):
        return damage_error(f"The ledger is damaged: {why}.", BACKUP, **about)
    if "locked" in why or "busy" in why:
        return EnvironmentProblem(
            f"The ledger is locked by another process{during}, and was not released.",
            fix="End what holds ledger.db (a backup or a database browser, perhaps), and give the same command again; nothing is lost.",
            **about,
        )
    if "full" in why:
        return EnvironmentProblem(
            f"The disk is full: the ledger could not be written{during}.",
            fix="Free space where --home lies, and give the same command again; nothing is lost.",
            **about,
        )
    no_write_access = file is not None and file.parent.is_dir() and not os.access(file.parent, os.W_OK)
    if "readonly" in why or "read-only" in why or no_write_access:
        return EnvironmentProblem(
            f"The ledger may not be written{during}: its file, folder or disk is read-only.",
            fix="Give the user who runs caudal write access to --home; commands that only show things write to the ledger's journal too.",
            **about,
        )
    if "unable to open" in why or "disk I/O" in why:
        return EnvironmentProblem(
            f"The ledger cannot be opened{during}: {why}.",
            fix="See whether --home may be written to, whether its disk is full or failing, and how many files a process may open (ulimit -n).",
            **about,
        )
    return EnvironmentProblem(
        f"The ledger cannot be used{during}: {why}.", fix="caudal verify tells whether it is damaged.", **about
    )


def check_ledger_exists(file: Path, lake: Path) -> None:
    """Check that a home with tables has its ledger; with an empty one everything would be landed and built again.

    Raises
    ------
    StorageDamaged : the ledger is missing or empty
    """
    try:
        if file.stat().st_size:
            return
        how = "is empty"
    except FileNotFoundError:
        how = "is gone"
    except OSError:
        return  # opening it reports the error
    if next((lake / "lake").glob("*/*/_delta_log/*.json"), None) is not None:
        raise damage_error(f"The ledger '{file}' {how}, and its home holds tables.", BACKUP, file=str(file))


def _sqlite(error: DBAPIError) -> bool:
    return type(error.orig).__module__.startswith("sqlite3")
