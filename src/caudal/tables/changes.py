"""The difference between two versions of a table, and the only case in which a commit is rewritten."""

from __future__ import annotations

import json
from collections.abc import Callable

from caudal.storage import delta, delta_log
from caudal.storage.place import Place, overwrite


def changed_days(folder: Place, since: int, until: int) -> set[str | None]:
    """Return the days whose files differ between two versions; days removed by retention do not count as changed."""
    if since == until:
        return set()
    if since > until:  # the table was moved away and created anew
        return delta.read_version(folder, until).days
    old, new = delta.read_version(folder, since), delta.read_version(folder, until)
    retained = {day for number in range(since + 1, until + 1) for day in delta.identity(folder, number).get("retained", ())}
    return {file.day for file in set(old.files) ^ set(new.files)} - (retained - new.days)


def changed_segments(folder: Place, since: int, until: int) -> set[str] | None:
    """Return the raw files whose rows differ between two versions; None if the files do not name their origin."""
    if since == until:
        return set()
    if since > until:
        return None
    segments = {
        file.segment for file in set(delta.read_version(folder, since).files) ^ set(delta.read_version(folder, until).files)
    }
    return None if None in segments else {segment for segment in segments if segment is not None}


def amend(folder: Place, blot: Callable[[dict[str, object]], bool]) -> int:
    """Rewrite the commit info wherever ``blot`` changes it; file actions stay. Return the number of rewritten lines.

    This is only for the erasure of a person: figures in a commit can contain a person's value.
    """
    count = 0
    for entry in delta_log.commits(folder):
        lines = entry.read_text().splitlines()
        for number, line in enumerate(lines):
            action = json.loads(line) if line else {}
            commit_info = json.loads(action.get("commitInfo", {}).get("caudal", "{}"))
            if commit_info and blot(commit_info):
                action["commitInfo"]["caudal"] = json.dumps(commit_info)
                lines[number] = json.dumps(action)
                draft = entry.with_name(f".{entry.name}.amended")
                with draft.open("wb") as out:
                    out.write(("\n".join(lines) + "\n").encode())
                overwrite(entry, draft)
                count += 1
    return count
