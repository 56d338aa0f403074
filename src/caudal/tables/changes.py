"""What differs between two versions of a table, and the one case in which a commit is rewritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from caudal.storage import delta, delta_log
from caudal.storage.place import Place, overwrite


def changed_days(folder: Place, since: int, until: int) -> set[str | None]:
    """Return the days whose files differ between two versions; days that were let go because their time was over did not change."""
    if since == until:
        return set()
    if since > until:  # the table was moved away and made anew
        return delta.read(folder, until).days
    old, new = delta.read(folder, since), delta.read(folder, until)
    let_go = {day for number in range(since + 1, until + 1) for day in delta.identity(folder, number).get("retained", ())}
    return {file.day for file in set(old.files) ^ set(new.files)} - (let_go - new.days)


def changed_segments(folder: Place, since: int, until: int) -> set[str] | None:
    """Return the raw files whose rows differ between two versions; None where files do not say which they come from."""
    if since == until:
        return set()
    if since > until:
        return None
    found = {file.segment for file in set(delta.read(folder, since).files) ^ set(delta.read(folder, until).files)}
    return None if None in found else {one for one in found if one is not None}


def amend(folder: Place, blot: Callable[[dict[str, Any]], bool]) -> int:
    """Rewrite what commits said of themselves where ``blot`` changes it; what they did to files stays. Returns how many were rewritten.

    It is for the erasure of a person alone: figures of a commit can hold a person's value.
    """
    count = 0
    for entry in delta_log.commits(folder):
        lines = entry.read_text().splitlines()
        for at, line in enumerate(lines):
            action = json.loads(line) if line else {}
            said = json.loads(action.get("commitInfo", {}).get("caudal", "{}"))
            if said and blot(said):
                action["commitInfo"]["caudal"] = json.dumps(said)
                lines[at] = json.dumps(action)
                draft = entry.with_name(f".{entry.name}.amended")
                with draft.open("wb") as out:
                    out.write(("\n".join(lines) + "\n").encode())
                overwrite(entry, draft)
                count += 1
    return count
