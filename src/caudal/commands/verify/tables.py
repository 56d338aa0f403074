"""Check that a table is what its commits say: a log without gaps, files of the recorded size and hash, and the fitted files of its versions."""

from __future__ import annotations

import hashlib
import itertools
import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

from caudal.commands.verify.fault import HomeFault, Verification
from caudal.errors import CaudalError
from caudal.storage import delta, delta_log
from caudal.storage.place import Place, relative_path
from caudal.tables.intact import fault_of
from caudal.tables.version_files import FOLDER

_AT_ONCE = 8


def check_table(verification: Verification, product: str, folder: Place, *, is_quarantine: bool = False) -> None:
    """Check a table's log, and then the files that it names.

    Parameters
    ----------
    is_quarantine : whether the folder is the quarantine of the table of its name
    """
    log = folder / "_delta_log"
    if not log.is_dir():
        return
    name = folder.name
    title = f"the quarantine of '{name}'" if is_quarantine else f"table '{name}'"
    verification.findings.checked["tables"] += 1
    try:
        adds, live, hashes = _replay_log(folder)
        version = delta.read_version(folder)
        if {unquote(file.path) for file in version.files} != live:
            raise ValueError("its checkpoint and its entries name different files")
    except (CaudalError, ValueError) as error:
        sentence = getattr(error, "what", None) or f"The log of {title} is damaged: {error}."
        verification.findings.faults.append(
            HomeFault("log", product, name, str(log), sentence, _rebuild_fix(verification, product, folder, name, is_quarantine))
        )
        return
    _check_files(verification, product, folder, name, title, adds, live, hashes)
    _check_fitted_files(verification, product, folder, name)


def _replay_log(folder: Place) -> tuple[dict[str, int], set[str], dict[str, str]]:
    """Return the sizes of all files that a log has ever named, the files of its newest version, and the recorded hashes.

    Raises
    ------
    ValueError : an entry is missing, or removes a file that no entry added
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
    verification: Verification, product: str, folder: Place, name: str, title: str, adds: Mapping[str, int], live: set[str], hashes: Mapping[str, str],
) -> None:  # fmt: skip
    files = {
        relative_path(file, folder).as_posix(): file
        for file in folder.rglob("*.parquet")
        if "_delta_log" not in relative_path(file, folder).parts
    }
    paths = [path for path in adds if path in live or path in files]

    def fault_at(path: str) -> str | None:
        return fault_of(files.get(path, folder / path), bytes=adds[path], sha256=hashes.get(path), deep=verification.deep)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        fault_by_path = dict(zip(paths, threads.map(fault_at, paths), strict=True))
    verification.findings.checked["files"] += len(paths)
    verification.findings.bytes += sum(adds[path] for path in paths)
    for path, fault in fault_by_path.items():
        if fault is not None:
            mend = _file_fix(verification, product, folder / path, name, path in live)
            verification.findings.faults.append(
                HomeFault("table", product, name, str(folder / path), f"In {title}: {fault}.", mend)
            )
    if orphans := sorted(set(files) - set(adds)):
        verification.findings.notes.append(
            f"{len(orphans)} files of {title} of '{product}' are named by no version, such as '{folder / orphans[0]}': "
            "a run that is at work or was killed leaves such files, and the next run takes them away."
        )


def _check_fitted_files(verification: Verification, product: str, folder: Place, name: str) -> None:
    for file in (folder / FOLDER).iterdir() if (folder / FOLDER).is_dir() else ():
        verification.findings.checked["kept"] += 1
        if hashlib.sha256(file.read_bytes()).hexdigest() != file.name:
            verification.findings.faults.append(
                HomeFault(
                    "kept", product, name, str(file), f"What table '{name}' has fitted, '{file}', is not as it was written.",
                    f"Take it away and make the table again: rm -f {shlex.quote(str(file))} && "
                    f"caudal backfill {verification.folder(product)} --table {name} {verification.home_options()}",
                )
            )  # fmt: skip


def _file_fix(verification: Verification, product: str, file: Place, name: str, live: bool) -> str:
    """Return how to restore a data file; a damaged one is deleted, so that no older version reads it."""
    removal = ""
    if file.is_file():
        removal = f"rm -f {shlex.quote(str(file))}" if isinstance(file, Path) else f"take '{file}' away"
    if not live:
        return f"Only older versions hold it. Put it back from a backup, or do without these versions: {removal}"
    return f"Make it again: caudal backfill {verification.folder(product)} --table {name} {verification.home_options()}{' && ' + removal if removal else ''}"


def _rebuild_fix(verification: Verification, product: str, folder: Place, name: str, is_quarantine: bool) -> str:
    """Return how to rebuild a table whose log is damaged."""
    damaged_folder = verification.home.lake / "damaged"
    target = next(place for number in itertools.count(1) if not (place := damaged_folder / f"{product}-{name}-{number}").exists())
    move_command = (
        f"mkdir -p {shlex.quote(str(damaged_folder))} && mv {shlex.quote(str(folder))} {shlex.quote(str(target))}"
        if isinstance(folder, Path)
        else f"move '{folder}' away"
    )
    rebuild_command = f"caudal run {verification.folder(product)} {verification.home_options()}"
    if is_quarantine:
        rebuild_command = f"caudal backfill {verification.folder(product)} --table {name} {verification.home_options()}"
    return f"Move it away and rebuild it from raw files, without its older versions: {move_command} && {rebuild_command}"
