"""Find files in a folder by a pattern, and skip those that are still being written."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from caudal.declarations.connection import Connection, Files
from caudal.errors import SourceProblem, nearest
from caudal.stages.ingest.arrival import Arrival, Clock, KnownFile, fetches
from caudal.stages.ingest.origin import base_folder, origin
from caudal.stages.ingest.raw import format_of, is_temporary, why_incomplete
from caudal.stages.ingest.remote import fetch_remote

FRESH_S = 2.0  # a file that changed this recently may still be growing
LOOK_AGAIN_S = 0.05


@fetches("files")
def fetch(
    connection: Connection, *, data: Path | None, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock
) -> list[Arrival]:
    """Return the files that match the pattern and are new, have changed, or are still being written."""
    assert isinstance(connection, Files)
    if connection.remote:
        return fetch_remote(connection, scratch=scratch, landed=landed, clock=clock)
    arrivals = list_changed(connection, data=data, landed=landed, clock=clock)
    for arrival in arrivals:
        if arrival.fault is not None and arrival.link is None:
            raise SourceProblem(
                f"'{arrival.local}' {arrival.fault}, and has not grown for {clock() - arrival.modified_ns / 1e9:.0f} s.",
                fix="Deliver the file again, or move it away; nothing of it was landed.",
                file=str(arrival.local),
            )
    return arrivals


def list_changed(connection: Files, *, data: Path | None, landed: Mapping[str, KnownFile], clock: Clock) -> list[Arrival]:
    """Return the files that match the pattern and are new, have changed, are still being written, or are broken."""
    changed, links = [], list[Path]()
    base = base_folder(connection.pattern, data)
    for path, stat in matching_files(connection, data, links):
        landed_file = landed.get(origin(path, base)) or landed.get(str(path))  # older homes keep whole paths
        if landed_file is None or (landed_file.bytes, landed_file.modified_ns) != (stat.st_size, stat.st_mtime_ns):
            changed.append((path, stat))
    growing = growing_files(changed, clock)
    arrivals = []
    for path, stat in changed:
        age_s = clock() - stat.st_mtime
        settled = path not in growing and not abs(age_s) < connection.settle_s
        reason = _fault(path, format_of(path.name, connection.format)) if settled else None
        if reason is not None and abs(age_s) < FRESH_S:
            settled, reason = False, None  # the writer may add the footer last, or has only just opened the file
        arrivals.append(Arrival(origin(path, base), path, stat.st_size, stat.st_mtime_ns, None, settled, reason))
    return [*arrivals, *(Arrival(origin(path, base), path, 0, 0, settled=False, link=_target(path)) for path in links)]


def list_origins(connection: Files, data: Path | None) -> frozenset[str]:
    """Return all files that match the pattern, landed before or not."""
    base = base_folder(connection.pattern, data)
    return frozenset(origin(path, base) for path, _ in matching_files(connection, data))


def split_pattern(connection: Files, data: Path | None) -> tuple[Path, tuple[str, ...]]:
    """Return the folder that a pattern is searched in, and the rest of the pattern.

    Raises
    ------
    SourceProblem : the pattern is relative, and no data folder was given
    """
    pattern = Path(connection.pattern).expanduser()
    if not pattern.is_absolute() and data is None:
        raise SourceProblem(
            f"The files '{connection.pattern}' are relative to the data folder, and no data folder was given.",
            fix="Pass --data DIR.",
            pattern=connection.pattern,
        )
    if pattern.is_absolute():
        base, parts = Path(pattern.anchor), pattern.parts[1:]
    else:
        assert data is not None
        base, parts = data.absolute(), pattern.parts
    while len(parts) > 1 and not _is_wildcard(parts[0]):
        base, parts = base / parts[0], parts[1:]
    return base, parts


def matching_files(connection: Files, data: Path | None, links: list[Path] | None = None) -> list[tuple[Path, os.stat_result]]:
    """Return the files that match the pattern, with their sizes and times, sorted.

    Parameters
    ----------
    links : list, optional, gets the matching links that are not followed because they lead out of the folder or nowhere
    """
    links = [] if links is None else links
    base, parts = split_pattern(connection, data)
    if not base.is_dir():
        if not connection.required:
            return []
        parent = next(folder for folder in base.parents if folder.is_dir())
        raise SourceProblem(
            f"The folder '{base}' does not exist; '{connection.pattern}' is searched there.",
            nearest=nearest(base.relative_to(parent).parts[0], _names(parent)),
            fix=f"Of its parent folders, '{parent}' exists.",
            folder=str(base),
        )
    within = None if connection.follow_links else Path(os.path.realpath(base))
    matched = {path: stat for path in _match(base, parts, within, links) if (stat := _stat(path)) is not None}
    if not matched and connection.required:
        names = _names(base)
        names_text = ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        literal = base.joinpath(*parts)
        raise SourceProblem(
            f"No file matches '{'/'.join(parts)}' in '{base}'; it holds {names_text or 'no file'}.",
            nearest=nearest(parts[-1], names),
            fix=f"'{literal}' is a folder: write '{connection.pattern}/*'."
            if literal.is_dir()
            else f"'{links[0]}' is a link to '{_target(links[0])}', out of it; follow_links=True follows it."
            if links
            else None,
            folder=str(base),
            pattern=connection.pattern,
        )
    return sorted(matched.items())


def _match(folder: Path, parts: tuple[str, ...], within: Path | None, links: list[Path]) -> Iterator[Path]:
    """Yield the files below a folder that match the parts of a pattern; a folder that cannot be read is an error, not an empty one.

    Links that lead out of ``within`` are not followed, but added to ``links``: a user who may write into a landing folder may have no right
    to read other files that this process can read.
    """
    head, remaining_parts = parts[0], parts[1:]
    if head == "**" and not remaining_parts:
        remaining_parts = ("*",)
    for entry in _entries(folder):
        if head == "**":
            if entry.is_dir(follow_symlinks=False):
                yield from _match(Path(entry.path), parts, within, links)
        elif fnmatch.fnmatchcase(entry.name, head):
            if entry.is_symlink() and not _is_followed(Path(entry.path), within):
                if not is_temporary(entry.name) and (not remaining_parts or _is_folder(entry)):
                    links.append(Path(entry.path))
            elif remaining_parts and entry.is_dir():
                yield from _match(Path(entry.path), remaining_parts, within, links)
            elif not remaining_parts and entry.is_file() and not is_temporary(entry.name):
                yield Path(entry.path)
    if head == "**":
        yield from _match(folder, remaining_parts, within, links)


def _is_followed(link: Path, within: Path | None) -> bool:
    """Return whether a link is followed: never in a circle of links; one that leads nowhere is not a file anyway."""
    try:
        target = link.resolve(strict=True)
    except FileNotFoundError:
        return True
    except (OSError, RuntimeError):
        return False
    return within is None or target.is_relative_to(within)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return "?"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable_problem(folder, "folder", error) from None


def _stat(path: Path) -> os.stat_result | None:
    """Return a file's size and times, or None when it was removed after it was found."""
    try:
        with path.open("rb"):  # fails now, with the file's name, where copying would fail later
            return path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable_problem(path, "file", error) from None


def _fault(path: Path, format: str) -> str | None:
    try:
        return why_incomplete(path, format)
    except OSError as error:
        raise _unreadable_problem(path, "file", error) from None


def growing_files(files: list[tuple[Path, os.stat_result]], clock: Clock) -> set[Path]:
    """Return the files that change within a short wait; only recently changed files are checked."""
    recent = [(path, stat) for path, stat in files if abs(clock() - stat.st_mtime) < FRESH_S]
    if not recent:
        return set()
    time.sleep(LOOK_AGAIN_S)
    changed = set()
    for path, before in recent:
        after = _stat(path)
        if after is None or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            changed.add(path)
    return changed


def _unreadable_problem(path: Path, kind: str, error: OSError) -> SourceProblem:
    return SourceProblem(
        f"The {kind} '{path}' cannot be read: {(error.strerror or str(error)).lower()}.",
        fix="Give the user who runs caudal read access." if isinstance(error, PermissionError) else None,
        file=str(path),
    )


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if not is_temporary(entry.name)]


def _is_wildcard(part: str) -> bool:
    return any(sign in part for sign in "*?[")
