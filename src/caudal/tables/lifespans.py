"""How long a table's files are needed: which versions name them, and when these were replaced."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from caudal.storage import delta, delta_log
from caudal.storage.place import Place

RETAINED = "retained"  # the commit info's key with the days that retention removed


@dataclass(frozen=True)
class Lifespan:
    """A data file and the versions that name it: from ``added`` to before ``removed`` (None: to the newest)."""

    path: str
    bytes: int
    added: int
    removed: int | None = None

    def named_by(self, versions: Iterable[int]) -> bool:
        """Return whether any of some versions names the file."""
        return any(self.added <= version and (self.removed is None or version < self.removed) for version in versions)


def lifespans(folder: Place) -> tuple[list[Lifespan], dict[int, float]]:
    """Return every file that a table has ever named, and when each version was committed (seconds since 1970, UTC)."""
    current: dict[str, Lifespan] = {}
    past: list[Lifespan] = []
    times: dict[int, float] = {}
    for entry in delta_log.commits(folder):
        number = int(entry.stem)
        actions = delta_log.actions(entry)
        times[number] = next(
            (action["commitInfo"]["timestamp"] / 1000 for action in actions if "commitInfo" in action), entry.stat().st_mtime
        )
        removed_paths = [unquote(action["remove"]["path"]) for action in actions if "remove" in action]
        past += [replace(current.pop(path), removed=number) for path in removed_paths if path in current]
        for action in (action["add"] for action in actions if "add" in action):
            path = unquote(action["path"])
            current[path] = Lifespan(path, int(action["size"]), number)
    return [*past, *current.values()], times


def expired(times: Mapping[int, float], before: float, protected: Collection[int] = ()) -> set[int]:
    """Return the versions that were replaced before a moment and are not protected; never the newest.

    Examples
    --------
    >>> sorted(expired({0: 10.0, 1: 20.0, 2: 30.0}, before=25.0))
    [0]
    """
    numbers = sorted(times)
    replaced = {old: times[new] for old, new in itertools.pairwise(numbers)}
    return {old for old, at in replaced.items() if at <= before and old not in protected}


def unneeded_files(spans: Iterable[Lifespan], folder: Place, removed: Collection[int], newest: int) -> list[Lifespan]:
    """Return the existing files that only the versions ``removed`` name."""
    remaining = [number for number in range(newest + 1) if number not in removed]
    return [span for span in spans if not span.named_by(remaining) and (folder / span.path).is_file()]


def without_days(folder: Place, days: Collection[str], identity: Mapping[str, object]) -> int:
    """Publish a version without some event-time days, and return its number; the files stay for older versions.

    The commit keeps the code and the inputs of the one before, so that nothing is rebuilt because of it.
    """
    version = delta.read_version(folder)
    kept_info = {name: value for name, value in version.identity.items() if name != "done"}
    return delta.commit(
        folder, [], version.schema, partitioned=True, replace=set(days), identity={**kept_info, **identity, RETAINED: sorted(days)}
    )


def unlink(folder: Place, spans: Iterable[Lifespan]) -> tuple[int, int]:
    """Delete data files, and folders that are then empty; return the number of deleted files and their bytes."""
    files = size = 0
    for span in spans:
        path = folder / span.path
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        files, size = files + 1, size + span.bytes
        for parent in path.parents if isinstance(path, Path) else ():
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()
    return files, size
