"""Unpack files that Spark cannot read in their packing; the raw bytes stay unchanged."""

from __future__ import annotations

import fnmatch
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from caudal.errors import EnvironmentProblem, SourceProblem, nearest
from caudal.kinds import FORMATS, PACKINGS
from caudal.stages.ingest.limits import Expansion, bound
from caudal.stages.ingest.physical import Options
from caudal.stages.ingest.raw import ARCHIVE, RawFile, check_whole, format_of, packing_of, path_of
from caudal.stages.ingest.secret import reveal
from caudal.storage.place import Place

ARCHIVE_OPTIONS = ("members", "password")
_BLOCK = 1 << 20


def needs_unpacking(file: RawFile, options: Options) -> bool:
    """Return whether a file must be unpacked before Spark reads it."""
    packing = packing_of(file.name)
    if packing is None:
        return False
    format = FORMATS.get(format_of(file.name, file.format))
    by_spark = getattr(PACKINGS[packing], "UNPACKED_BY_SPARK", False) and getattr(format, "IS_TEXT", False)
    return not (by_spark and "records" not in options)


def unpack_file(file: RawFile, options: Options, folder: Path, within: Expansion | None = None, depth: int = 1) -> list[RawFile]:
    """Return a packed file's content as plain files in ``folder``; for a zip file each chosen member.

    Parameters
    ----------
    within : the enclosing file, with the bytes that it has unpacked to so far
    depth : int, how many packings enclose the content, including this one

    Raises
    ------
    SourceProblem : the file is broken, has no such member, needs another password, or unpacks to far more than its size
    EnvironmentProblem : the disk is full
    """
    if depth > bound("CAUDAL_MAX_NESTING"):
        raise SourceProblem(
            f"'{file.name}' is packed {depth} times.", fix="Pack it once, or raise CAUDAL_MAX_NESTING.", file=file.name
        )
    within = within or Expansion(file, file.path.stat().st_size)
    check_whole(file.path, format_of(file.name, file.format), file.name)
    folder.mkdir(parents=True, exist_ok=True)
    packing = packing_of(file.name)
    if packing is not None and getattr(PACKINGS[packing], "HOLDS_MEMBERS", False):
        return _unpack_members(file, options, folder, within, depth)
    target = folder / f"{parts_prefix(file)}-0{Path(file.path.name.removesuffix(packing or '')).suffix}"
    with _translate_unpack_errors(file, (packing or "")[1:]), _stream(file.path, packing) as stream:
        write_plain(stream, target, within)
    return [RawFile(target, file.sha256, file.name, format_of(file.name, file.format))]


def _stream(path: Place, packing: str | None) -> IO[bytes]:
    assert isinstance(path, Path)  # a local copy where the lake is remote
    assert packing is not None
    content: IO[bytes] = PACKINGS[packing].open_file(path)
    return content


def _unpack_members(file: RawFile, options: Options, folder: Path, within: Expansion, depth: int) -> list[RawFile]:
    password = options.get("password")
    assert isinstance(file.path, Path)
    with _translate_unpack_errors(file, "zip"), zipfile.ZipFile(file.path) as archive:
        chosen = wanted_members(file, [member for member in archive.infolist() if not member.is_dir()], options)
        if any(member.flag_bits & 1 for member in chosen) and not password:
            raise SourceProblem(
                f"'{file.name}' is encrypted.", fix='Pass password=cd.env("NAME"), the variable that holds it.', file=file.name
            )
        if any(member.compress_type == 99 for member in chosen):  # APPNOTE 6.3.10, 4.4.5: WinZip AES
            raise SourceProblem(
                f"'{file.name}' is encrypted by AES, which is not read.",
                fix="Unpack it before it is delivered.",
                file=file.name,
            )
        if password:
            archive.setpassword(reveal(password).encode())
        files = []
        for number, info in enumerate(chosen):
            target = folder / f"{parts_prefix(file)}-{number}{_endings(info.filename)}"
            with archive.open(info) as stream:
                write_plain(stream, target, within)
            member = RawFile(target, file.sha256, f"{path_of(file.name)}/{info.filename}", file.format)
            files += unpack_file(member, options, folder, within, depth + 1) if needs_unpacking(member, options) else [member]
        return files


def parts_prefix(file: RawFile) -> str:
    """Return the prefix of the names of a file's parts."""
    return file.path.name.partition(".")[0]


def _endings(name: str) -> str:
    """Return a member's last endings, without characters that Spark takes for a pattern."""
    return re.sub(r"[^.\w]", "_", "".join(Path(name).suffixes[-2:] if packing_of(name) else [Path(name).suffix])).lower()


def wanted_members(file: RawFile, members: list[zipfile.ZipInfo], options: Options) -> list[zipfile.ZipInfo]:
    """Return the members that match ``members=``, else those of a known format; hidden ones never count."""
    pattern = options.get("members")
    names = [member.filename for member in members]
    visible = [member for member in members if not any(part.startswith((".", "__MACOSX")) for part in Path(member.filename).parts)]
    if pattern:
        chosen = [member for member in visible if fnmatch.fnmatchcase(member.filename, str(pattern))]
    else:
        chosen = [member for member in visible if file.format or _readable(member.filename)]
    if not chosen:
        missing = f"no member that matches '{pattern}'" if pattern else "no member of a format that is read"
        raise SourceProblem(
            f"'{file.name}' has {missing}; it holds {', '.join(repr(name) for name in names[:5]) or 'nothing'}.",
            nearest=nearest(str(pattern), names) if pattern else None,
            fix="Pass members='*.csv', or format= where the endings do not show it.",
            file=file.name,
        )
    return chosen


def _readable(name: str) -> bool:
    try:
        return format_of(name) != ARCHIVE
    except SourceProblem:
        return False


@contextmanager
def _translate_unpack_errors(file: RawFile, packing: str) -> Iterator[None]:
    """Translate the errors of unpacking a broken file into one sentence."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno in (28, 122):  # no space, quota
            raise EnvironmentProblem(
                f"The disk is full: '{file.name}' could not be unpacked.",
                fix="Free space where --home lies and run again.",
                file=file.name,
            ) from None
        if "password" in str(error).lower():
            raise SourceProblem(f"The password for '{file.name}' is wrong.", file=file.name) from None
        if isinstance(error, OSError) and error.errno is not None:  # a fault of the disk, not of the content
            raise
        reason = str(error).splitlines()[0].rstrip(". ") if str(error) else "it ends too early"
        raise SourceProblem(
            f"'{file.name}' is a truncated or damaged {packing} file: {reason}.", fix="Deliver the file again.", file=file.name
        ) from None


def write_plain(stream: IO[bytes], target: Path, within: Expansion) -> None:
    """Write a stream to a file that appears only when it is complete."""
    temporary = target.with_name(f".{target.name}-{os.getpid()}.part")
    try:
        with temporary.open("wb") as plain:
            while block := stream.read(_BLOCK):
                within.add(len(block))
                plain.write(block)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
