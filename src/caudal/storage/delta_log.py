"""The log of a Delta table, entry by entry: what each commit did and said of itself.

An entry tells how many files it brings and their hashes, so that one that was cut off, or a file whose bytes changed, is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from caudal.storage.damage import damaged, first_line
from caudal.storage.place import Place

ADDS = "caudal.adds"  # under which a commit tells how many files it brings
SUMS = "caudal.sums"  # under which a commit tells the hashes of the files that it brings


def commits(folder: Place) -> list[Place]:
    """Return the commits of a table's log, oldest first."""
    log: Place = folder / "_delta_log"
    found: list[Place] = [entry for entry in log.glob("*.json") if entry.stem.isdigit()]
    return sorted(found, key=str)


def entry_of(log: Place, version: int) -> Place:
    """Return where the entry of a version lies in a log."""
    return log / f"{version:020d}.json"


def numbers(log: Place) -> list[int]:
    """Return the versions that a log has entries of, in no order."""
    return [int(entry.stem) for entry in log.iterdir() if entry.suffix == ".json" and entry.stem.isdigit()]


def checkpointed(log: Place) -> int | None:
    """Return the version of the last checkpoint, or None where none is told of."""
    try:
        return int(json.loads((log / "_last_checkpoint").read_text())["version"])
    except (OSError, ValueError, KeyError):
        return None


def actions(entry: Place) -> list[dict[str, Any]]:
    """Return what an entry of a table's log says.

    Raises
    ------
    StorageDamaged : it is not as it was written
    """
    content = entry.read_bytes().splitlines()
    info_of(entry, content)
    try:
        lines = [json.loads(line) for line in content if line]
        if not all(isinstance(line, dict) for line in lines):
            raise ValueError("it holds no actions")
    except ValueError as error:
        raise _unreadable(entry, error) from error
    return lines


def info_of(entry: Place, lines: Sequence[bytes]) -> dict[str, Any]:
    """Return what an entry of a log says of itself, and hold that it is whole: an entry that was cut off after a line is one by its form.

    Raises
    ------
    StorageDamaged : it is empty, or names fewer files than were published with it
    """
    try:
        if not any(lines):
            raise ValueError("it is empty")
        told: dict[str, Any] = next((json.loads(line) for line in lines if line.startswith(b'{"commitInfo"')), {})
        said: dict[str, Any] = told.get("commitInfo", {})
        named = sum(line.startswith(b'{"add"') for line in lines)
        if ADDS in said and int(said[ADDS]) != named:
            raise ValueError(f"it names {named} files, and {said[ADDS]} were published")
    except ValueError as error:
        raise _unreadable(entry, error) from error
    return said


def sums_of(actions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the hashes of the data files that an entry of a table's log has brought, as they were written, by path."""
    told: Mapping[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    return {unquote(path): sha256 for path, sha256 in json.loads(told.get(SUMS, "{}")).items()}


def _unreadable(entry: Place, error: Exception) -> Exception:
    return damaged(
        f"The log of table '{entry.parent.parent.name}' is damaged: '{entry}' is not as it was written: {first_line(error)}.",
        table=entry.parent.parent.name,
        file=str(entry),
    )
