"""The log of a Delta table, entry by entry: each commit's actions and commit info.

An entry records the number and hashes of the files it adds, so that a truncated entry, or a file whose bytes changed, is detected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from caudal.storage.damage import damage_error, first_line
from caudal.storage.place import Place

ADDS = "caudal.adds"  # commit info key: the number of files that the commit adds
SUMS = "caudal.sums"  # commit info key: the hashes of the files that the commit adds


def commits(folder: Place) -> list[Place]:
    """Return the commits of a table's log, oldest first."""
    log: Place = folder / "_delta_log"
    entries: list[Place] = [entry for entry in log.glob("*.json") if entry.stem.isdigit()]
    return sorted(entries, key=str)


def entry_of(log: Place, version: int) -> Place:
    """Return the path of a version's log entry."""
    return log / f"{version:020d}.json"


def entry_versions(log: Place) -> list[int]:
    """Return the versions that have log entries, in no order."""
    return [int(entry.stem) for entry in log.iterdir() if entry.suffix == ".json" and entry.stem.isdigit()]


def checkpointed(log: Place) -> int | None:
    """Return the version of the last checkpoint, or None if there is none."""
    try:
        return int(json.loads((log / "_last_checkpoint").read_text())["version"])
    except (OSError, ValueError, KeyError):
        return None


def actions(entry: Place) -> list[dict[str, Any]]:
    """Return the actions in a log entry.

    Raises
    ------
    StorageDamaged : the entry is not as it was written
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
    """Return an entry's commit info, and check that the entry is complete: one that was cut off after a line would still parse.

    Raises
    ------
    StorageDamaged : the entry is empty, or names fewer files than were published with it
    """
    try:
        if not any(lines):
            raise ValueError("it is empty")
        first_action: dict[str, Any] = next((json.loads(line) for line in lines if line.startswith(b'{"commitInfo"')), {})
        info: dict[str, Any] = first_action.get("commitInfo", {})
        added = sum(line.startswith(b'{"add"') for line in lines)
        if ADDS in info and int(info[ADDS]) != added:
            raise ValueError(f"it names {added} files, and {info[ADDS]} were published")
    except ValueError as error:
        raise _unreadable(entry, error) from error
    return info


def sums_of(actions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the hashes of the data files that an entry's actions have added, by path."""
    info: Mapping[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    return {unquote(path): sha256 for path, sha256 in json.loads(info.get(SUMS, "{}")).items()}


def _unreadable(entry: Place, error: Exception) -> Exception:
    return damage_error(
        f"The log of table '{entry.parent.parent.name}' is damaged: '{entry}' is not as it was written: {first_line(error)}.",
        table=entry.parent.parent.name,
        file=str(entry),
    )
