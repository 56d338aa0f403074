"""How long a table's files are needed: which versions name them, and when these were replaced."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from caudal.storage import delta, delta_log
from caudal.storage.place import Place

RETAINED = "retained"  # what a commit says of the days that it took out because their time was over


@dataclass(frozen=True)
class Lifespan:
    """A data file and the versions that name it: from ``added`` to before ``removed`` (None: to the newest)."""

    path: str
    bytes: int
    added: int
    removed: int | None = None

    def named_by(self, versions: Iterable[int]) -> bool:
        """Tell whether any of some versions names the file."""
        return any(self.added <= version and (self.removed is None or version < self.removed) for version in versions)


def lifespans(folder: Place) -> tuple[list[Lifespan], dict[int, float]]:
    """Return every file that a table has ever named, and when each version was committed (seconds since 1970, UTC)."""
    born: dict[str, Lifespan] = {}
    ended: list[Lifespan] = []
    times: dict[int, float] = {}
    for entry in delta_log.commits(folder):
        number = int(entry.stem)
        actions = delta_log.actions(entry)
        times[number] = next(
            (action["commitInfo"]["timestamp"] / 1000 for action in actions if "commitInfo" in action), entry.stat().st_mtime
        )
        left = [unquote(action["remove"]["path"]) for action in actions if "remove" in action]
        ended += [replace(born.pop(path), removed=number) for path in left if path in born]
        for action in (action["add"] for action in actions if "add" in action):
            path = unquote(action["path"])
            born[path] = Lifespan(path, int(action["size"]), number)
    return [*ended, *born.values()], times


def expired(times: Mapping[int, float], before: float, protected: Collection[int] = ()) -> set[int]:
    """Return the versions that were replaced before a moment and that nobody protects; never the newest.

    Examples
    --------
    >>> sorted(expired({0: 10.0, 1: 20.0, 2: 30.0}, before=25.0))
    [0]
    """
    numbers = sorted(times)
    replaced = {old: times[new] for old, new in itertools.pairwise(numbers)}
    return {old for old, at in replaced.items() if at <= before and old not in protected}


def needless(spans: Iterable[Lifespan], folder: Place, gone: Collection[int], newest: int) -> list[Lifespan]:
    """Return the files, as far as they are still there, that none but the versions ``gone`` name."""
    kept = [number for number in range(newest + 1) if number not in gone]
    return [span for span in spans if not span.named_by(kept) and (folder / span.path).is_file()]


def without_days(folder: Place, days: Collection[str], said: Mapping[str, Any]) -> int:
    """Publish a version without some event-time days, and return its number; the files stay for older versions.

    The commit carries on what the one before it said of code and inputs, so that nothing is made again because of it.
    """
    version = delta.read(folder)
    about = {name: one for name, one in version.identity.items() if name != "done"}
    return delta.commit(
        folder, [], version.schema, partitioned=True, replace=set(days), identity={**about, **said, RETAINED: sorted(days)}
    )


def unlink(folder: Place, spans: Iterable[Lifespan]) -> tuple[int, int]:
    """Delete data files, and folders that are empty then; return how many files went and their bytes."""
    files = size = 0
    for span in spans:
        path = folder / span.path
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        files, size = files + 1, size + span.bytes
        for above in path.parents if isinstance(path, Path) else ():
            if above == folder or any(above.iterdir()):
                break
            above.rmdir()
    return files, size
