"""A subject's rows in zip archives, and in packed files of formats that cannot be searched while packed.

Each member is searched as the source reads it, including members that the source skips. A new archive is written with the changed members;
the others keep their content, name, time and position.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from caudal.errors import NotThere, SourceProblem
from caudal.stages.ingest.limits import Expansion, bound
from caudal.stages.ingest.packed import wanted_members, write_plain
from caudal.stages.ingest.physical import Options
from caudal.stages.ingest.raw import RawFile
from caudal.stages.ingest.secret import reveal
from caudal.tables import erased
from caudal.tables.raw_records import Is, RawKind, open_unpacked

KindOf = Callable[[str, int], RawKind]
_FIX = "Erase it at its origin and deliver the file again."
_FINDERS = ("__MACOSX", ".DS_Store")  # macOS adds these to archives: metadata without rows


def edit_archive(
    file: Path, column: str, is_subject: Is, to: Path | None, *, kind_of: KindOf, options: Options, format: str | None, room: Path, depth: int
) -> tuple[int, int]:  # fmt: skip
    """Return how many rows of an archive are the subject's, and how many of the read ones are not; write it without the subject's
    to ``to``.

    Parameters
    ----------
    kind_of : returns how a member is read, from its name and its nesting depth
    options : the source's options; ``members=`` selects what is read, ``password=`` decrypts
    room : Path, a temporary folder for members while they are searched

    Raises
    ------
    NotThere : a member cannot be searched; or the archive has rows of the subject and cannot be written without them
    SourceProblem : the archive is broken, or unpacks to far more than a genuine archive does
    """
    if depth > bound("CAUDAL_MAX_NESTING"):
        raise NotThere(f"it is packed {depth} times over", fix=_FIX)
    room.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=room) as temporary, zipfile.ZipFile(file) as archive:
        if options.get("password"):
            archive.setpassword(reveal(options["password"]).encode())
        raw = RawFile(file, "", file.name, format)
        expansion = Expansion(raw, file.stat().st_size)
        members = [member for member in archive.infolist() if not member.is_dir() and not _is_finders(member.filename)]
        read_names = {member.filename for member in _read(raw, members, options)}
        changed: dict[str, Path | None] = {}
        removed = remaining = 0
        for number, member in enumerate(members):
            plain = Path(temporary) / f"{number}-{PurePosixPath(member.filename).name[-80:]}"
            new_file = Path(temporary) / f"{number}-new-{PurePosixPath(member.filename).name[-80:]}"
            with archive.open(member) as stream:
                write_plain(stream, plain, expansion)
            subject_rows, others = _search_member(
                member.filename, plain, column, is_subject, kind_of, depth, None if to is None else new_file
            )
            removed += subject_rows
            if member.filename in read_names:
                remaining += others if to is not None else 1
            if subject_rows:
                changed[member.filename] = new_file if others > 0 else None
            else:
                new_file.unlink(missing_ok=True)
            plain.unlink()
        if to is not None:
            _write(archive, to, changed)
    return removed, remaining


def repacked(
    file: Path, column: str, is_subject: Is, to: Path | None, *, kind: RawKind, ending: str, room: Path
) -> tuple[int, int]:
    """Return the same counts for a single packed file of a format whose reader needs it unpacked; write it without the rows.

    Parameters
    ----------
    ending : the unpacked file's extension, such as ``.xlsx``
    """
    room.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=room) as temporary:
        plain, new = Path(temporary) / f"plain{ending}", Path(temporary) / f"new{ending}"
        with open_unpacked(file, "rb") as stream:
            write_plain(stream, plain, Expansion(RawFile(file, "", file.name), file.stat().st_size))
        if to is None:
            return erased.count_subject_rows(plain, kind, column, is_subject), 0
        counts = erased.without(plain, new, kind, column, is_subject)
        with new.open("rb") as content, open_unpacked(to, "wb", like=file) as out:
            shutil.copyfileobj(content, out)
        return counts


def _search_member(
    name: str, plain: Path, column: str, is_subject: Is, kind_of: KindOf, depth: int, to: Path | None
) -> tuple[int, int]:
    try:
        kind = kind_of(name, depth + 1)
        if to is None:
            return erased.count_subject_rows(plain, kind, column, is_subject), 0
        return erased.without(plain, to, kind, column, is_subject)
    except Exception as error:
        raise NotThere(f"its member '{name}': {str(error).rstrip('.')}", fix=_FIX) from error


def _is_finders(name: str) -> bool:
    return any(part in _FINDERS for part in PurePosixPath(name).parts)


def _read(raw: RawFile, members: list[zipfile.ZipInfo], options: Options) -> list[zipfile.ZipInfo]:
    try:
        return wanted_members(raw, members, options)
    except SourceProblem:  # the source refused it when it landed
        return []


def _write(archive: zipfile.ZipFile, to: Path, changed: dict[str, Path | None]) -> None:
    """Write an archive in which some members have new content or, where that is None, are left out."""
    members = archive.infolist()
    if changed and any(member.flag_bits & 1 for member in members):
        raise NotThere("it is encrypted, and cannot be written so again", fix=_FIX)
    if changed and len({member.filename for member in members}) < len(members):
        raise NotThere("it holds several members of one name", fix=_FIX)
    if not changed:
        shutil.copyfile(archive.filename or "", to)
        return
    with zipfile.ZipFile(to, "w") as new:
        new.comment = archive.comment
        for member in members:
            if member.filename in changed and changed[member.filename] is None:
                continue
            entry = zipfile.ZipInfo(member.filename, member.date_time)
            entry.compress_type, entry.comment = member.compress_type, member.comment
            entry.create_system, entry.external_attr = member.create_system, member.external_attr
            content = changed.get(member.filename)
            with (
                archive.open(member) if content is None else content.open("rb") as source,
                new.open(entry, "w", force_zip64=member.file_size >= 1 << 31) as out,
            ):
                shutil.copyfileobj(source, out)
