"""Examine a text file in one pass over its bytes: whether they decode, and the form of its lines."""

from __future__ import annotations

import bz2
import codecs
import gzip
import zlib
from dataclasses import dataclass
from typing import IO

from caudal.errors import SourceProblem
from caudal.kinds import PACKINGS
from caudal.stages.ingest.formats.lines import Lines
from caudal.stages.ingest.limits import Expansion
from caudal.stages.ingest.raw import RawFile
from caudal.storage.place import Place, readable

_BLOCK = 1 << 21
_HEAD = 1 << 18
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class TextSurvey:
    """The result of a survey.

    Parameters
    ----------
    head : str, the first text of the file, without a byte order mark; where the file is longer, it ends with a complete line
    bom : bool, whether the file begins with the byte order mark of UTF-8
    bare_returns : bool, whether lines end with a carriage return alone
    lines : Lines, the form of the lines; not meaningful for UTF-16 and UTF-32
    """

    head: str
    bom: bool
    bare_returns: bool
    lines: Lines


def open_plain(path: Place) -> IO[bytes]:
    """Return a file opened for its plain bytes, decompressed if it is compressed."""
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(PACKINGS[".gz"].MAGIC):
        return gzip.open(readable(path))  # type: ignore[return-value]
    if head.startswith(PACKINGS[".bz2"].MAGIC) and path.name.endswith(".bz2"):  # three letters, which text may begin with
        return bz2.open(readable(path))
    return path.open("rb")


def survey_text(
    file: RawFile, encoding: str, quote: str | None, separator: str | None = None, *, bounded: bool = False
) -> TextSurvey:
    """Return the survey of a text file.

    Parameters
    ----------
    separator : str, optional, of fields; needed to check that quotes are well-formed
    bounded : bool, whether a line longer than ``CAUDAL_MAX_LINE_MB`` is refused

    Raises
    ------
    SourceProblem : bytes that the encoding does not have (the error names line, byte and the encoding that fits); a cut gzip file; one
        that unpacks to far more than its size
    """
    decoder = _decoder(encoding, file)
    lines_ = Lines(file, quote, separator, bounded)
    head: list[str] = []
    head_size = lines = offset = 0
    is_whole = True
    has_newlines = has_returns = False
    is_first_block = True
    expansion = Expansion(file, file.path.stat().st_size)
    bom = False
    try:
        with open_plain(file.path) as raw:
            while block := raw.read(_BLOCK):
                if is_first_block:
                    bom, is_first_block = block.startswith(codecs.BOM_UTF8), False
                    _check_bom(file, block, encoding)
                try:
                    text = decoder.decode(block)
                except UnicodeDecodeError as error:
                    raise _undecodable_problem(file, error, lines, offset, block, encoding) from None
                if head_size < _HEAD:
                    head.append(text[:_HEAD])
                    head_size += len(text)
                is_whole = offset == 0 and len(text) <= _HEAD
                newlines = block.count(b"\n")
                has_newlines, has_returns = has_newlines or newlines > 0, has_returns or b"\r" in block
                lines_.take(block)
                expansion.add(len(block))
                lines, offset = lines + newlines, offset + len(block)
            decoder.decode(b"", final=True)
            lines_.end()
    except UnicodeDecodeError as error:
        raise _undecodable_problem(file, error, lines, offset, b"", encoding) from None
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # a fault of the disk, not of the content
            raise
        packing = "bzip2" if file.path.name.endswith(".bz2") else "gzip"
        raise SourceProblem(
            f"'{file.name}' is a truncated or damaged {packing} file: {str(error).lower().rstrip('.')}.",
            fix="Deliver the file again.",
            file=file.name,
        ) from None
    text_head = "".join(head).removeprefix("\ufeff")
    cut = text_head.rfind("\n")
    return TextSurvey(text_head if is_whole or cut < 0 else text_head[: cut + 1], bom, has_returns and not has_newlines, lines_)


def _decoder(encoding: str, file: RawFile) -> codecs.IncrementalDecoder:
    try:
        return codecs.getincrementaldecoder(encoding)("strict")
    except LookupError:
        raise SourceProblem(
            f"'{encoding}' is not an encoding.", fix="Use a name such as utf-8, windows-1252, iso-8859-1 or utf-16.", file=file.name,
            encoding=encoding,
        ) from None  # fmt: skip


def _check_bom(file: RawFile, block: bytes, encoding: str) -> None:
    for mark, mark_encoding in _BOMS:
        if block.startswith(mark):
            if not codecs.lookup(encoding).name.startswith(mark_encoding) and not (
                mark_encoding == "utf-8" and codecs.lookup(encoding).name == "utf-8-sig"
            ):
                raise SourceProblem(
                    f"'{file.name}' begins with the byte order mark of {mark_encoding.upper()} and is read as {encoding}.",
                    fix=f"Pass encoding='{mark_encoding}' to the connection.",
                    file=file.name, encoding=mark_encoding,
                )  # fmt: skip
            return


def _undecodable_problem(
    file: RawFile, error: UnicodeDecodeError, lines: int, offset: int, block: bytes, encoding: str
) -> SourceProblem:
    # The decoder may keep a few bytes of the block before; its positions count from those.
    carried_bytes = max(0, len(error.object) - len(block))
    line = lines + error.object[: error.start].count(b"\n") + 1
    position = offset - carried_bytes + error.start
    byte = error.object[error.start]
    likely = next(
        (
            name
            for name in ("windows-1252", "iso-8859-1")
            if _decodes(error.object[max(0, error.start - 200) : error.start + 200], name)
        ),
        None,
    )
    explanation = f": there, byte 0x{byte:02X} is '{bytes([byte]).decode(likely)}'" if likely else ""
    return SourceProblem(
        f"'{file.name}' is not {encoding}: line {line} has the byte 0x{byte:02X} at position {position} of the file.",
        fix=f"Pass encoding='{likely}' to the connection{explanation}." if likely else "Pass the right encoding= to the connection.",
        file=file.name, line=line, position=position, encoding=likely,
    )  # fmt: skip


def _decodes(octets: bytes, encoding: str) -> bool:
    try:
        octets.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
