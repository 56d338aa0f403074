"""Is a table what its commits say? Its log without a gap, its files in size and hash, and what belongs to its versions."""

from __future__ import annotations

import hashlib
import itertools
import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

from caudal.commands.verify.fault import Fault, Verified
from caudal.errors import CaudalError
from caudal.storage import delta, delta_log
from caudal.storage.place import Place, relative_path
from caudal.tables.intact import fault_of
from caudal.tables.version_files import FOLDER as KEPT

_AT_ONCE = 8


def check_table(told: Verified, product: str, folder: Place, *, aside: bool = False) -> None:
    """Check a table's log, and then the files that it names.

    Parameters
    ----------
    aside : it is the quarantine of the table of its name
    """
    log = folder / "_delta_log"
    if not log.is_dir():
        return
    name = folder.name
    title = f"the quarantine of '{name}'" if aside else f"table '{name}'"
    told.findings.checked["tables"] += 1
    try:
        adds, live, hashes = _replayed(folder)
        version = delta.read(folder)
        if {unquote(file.path) for file in version.files} != live:
            raise ValueError("its checkpoint and its entries name different files")
    except (CaudalError, ValueError) as error:
        what = getattr(error, "what", None) or f"The log of {title} is damaged: {error}."
        told.findings.faults.append(Fault("log", product, name, str(log), what, _anew(told, product, folder, name, aside)))
        return
    _check_files(told, product, folder, name, title, adds, live, hashes)
    _check_kept(told, product, folder, name)


def _replayed(folder: Place) -> tuple[dict[str, int], set[str], dict[str, str]]:
    """Return the sizes of all files that a log has ever named, the files of its newest version, and the hashes that it tells.

    Raises
    ------
    ValueError : an entry is missing, or takes out a file that none has brought
    StorageDamaged : an entry is not as it was written
    """
    entries = delta_log.commits(folder)
    numbers = [int(entry.stem) for entry in entries]
    if numbers != list(range(len(numbers))):
        absent = next(number for number in range(len(numbers) + 1) if number not in set(numbers))
        raise ValueError(f"entry {absent:020d}.json is missing")
    adds: dict[str, int] = {}
    live: set[str] = set()
    hashes: dict[str, str] = {}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for number, actions in enumerate(threads.map(delta_log.actions, entries)):
            for action in actions:
                if "remove" in action:
                    path = unquote(action["remove"]["path"])
                    if path not in adds:
                        raise ValueError(f"entry {number} takes out '{path}', which no entry has brought")
                    live.discard(path)
                elif "add" in action:
                    path = unquote(action["add"]["path"])
                    adds[path] = int(action["add"]["size"])
                    live.add(path)
            hashes |= delta_log.sums_of(actions)
    return adds, live, hashes


def _check_files(
    told: Verified, product: str, folder: Place, name: str, title: str, adds: Mapping[str, int], live: set[str], hashes: Mapping[str, str],
) -> None:  # fmt: skip
    files = {
        relative_path(file, folder).as_posix(): file
        for file in folder.rglob("*.parquet")
        if "_delta_log" not in relative_path(file, folder).parts
    }
    asked = [path for path in adds if path in live or path in files]

    def wrong(path: str) -> str | None:
        return fault_of(files.get(path, folder / path), bytes=adds[path], sha256=hashes.get(path), deep=told.deep)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = dict(zip(asked, threads.map(wrong, asked), strict=True))
    told.findings.checked["files"] += len(asked)
    told.findings.bytes += sum(adds[path] for path in asked)
    for path, fault in found.items():
        if fault is not None:
            mend = _mend(told, product, folder / path, name, path in live)
            told.findings.faults.append(Fault("table", product, name, str(folder / path), f"In {title}: {fault}.", mend))
    if orphans := sorted(set(files) - set(adds)):
        told.findings.notes.append(
            f"{len(orphans)} files of {title} of '{product}' are named by no version, such as '{folder / orphans[0]}': "
            "a run that is at work or was killed leaves such files, and the next run takes them away."
        )


def _check_kept(told: Verified, product: str, folder: Place, name: str) -> None:
    for file in (folder / KEPT).iterdir() if (folder / KEPT).is_dir() else ():
        told.findings.checked["kept"] += 1
        if hashlib.sha256(file.read_bytes()).hexdigest() != file.name:
            told.findings.faults.append(
                Fault(
                    "kept", product, name, str(file), f"What table '{name}' has fitted, '{file}', is not as it was written.",
                    f"Take it away and make the table again: rm -f {shlex.quote(str(file))} && "
                    f"caudal backfill {told.folder(product)} --table {name} {told.at_home()}",
                )
            )  # fmt: skip


def _mend(told: Verified, product: str, file: Place, name: str, live: bool) -> str:
    """Return how a data file comes back; one that is damaged goes, so that no older version gives its rows."""
    gone = ""
    if file.is_file():
        gone = f"rm -f {shlex.quote(str(file))}" if isinstance(file, Path) else f"take '{file}' away"
    if not live:
        return f"Only older versions hold it. Put it back from a backup, or do without these versions: {gone}"
    return f"Make it again: caudal backfill {told.folder(product)} --table {name} {told.at_home()}{' && ' + gone if gone else ''}"


def _anew(told: Verified, product: str, folder: Place, name: str, aside: bool) -> str:
    """Return how a table is made anew whose log is no good."""
    away = told.home.lake / "damaged"
    kept = next(place for number in itertools.count(1) if not (place := away / f"{product}-{name}-{number}").exists())
    moved = (
        f"mkdir -p {shlex.quote(str(away))} && mv {shlex.quote(str(folder))} {shlex.quote(str(kept))}"
        if isinstance(folder, Path)
        else f"move '{folder}' away"
    )
    then = f"caudal run {told.folder(product)} {told.at_home()}"
    if aside:
        then = f"caudal backfill {told.folder(product)} --table {name} {told.at_home()}"
    return f"Move it away and make it anew from raw, without its older versions: {moved} && {then}"
