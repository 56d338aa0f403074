"""Results that came home as a zip file: unpacked where nothing can leave the folder, and checked against the order."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from caudal.compare.comparison import DOCUMENT
from caudal.compare.notebooks.order import ORDER, NotebookOrder, read_order
from caudal.errors import CaudalError, NotThere, SourceProblem
from caudal.inspection.shown import bytes_text
from caudal.report.documents.comparison import CompareDocument

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
"""What reading a zip file raises where it is damaged, encrypted, or packed in a way that is not known."""


def unpack_results(file: Path, folder: Path, order: NotebookOrder) -> CompareDocument:
    """Unpack results into a folder, which is made, and return their document.

    Raises
    ------
    NotThere : there is no such file
    SourceProblem : it is no zip file or damaged, a path in it leads out of the folder, or it holds the results of another comparison
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _check_members(file, archive.infolist(), folder.parent)
            archive.extractall(folder)
    except _DAMAGE as error:
        raise SourceProblem(
            f"'{file}' is damaged, or no zip file: {str(error).rstrip('.')}.",
            fix="Download it from the notebook again.",
            file=str(file),
        ) from None
    except OSError as error:
        if not file.is_file():
            raise NotThere(
                f"There is no file '{file}'.", fix="Give the zip file that the notebook's last cell downloads."
            ) from None
        raise SourceProblem(f"'{file}' cannot be unpacked: {error.strerror or error}.", file=str(file)) from None
    return _checked(file, folder, order)


def _check_members(file: Path, members: Sequence[zipfile.ZipInfo], place: Path) -> None:
    """Raise where a member would be written outside of the folder, is no file, or all of them are more than the disk has room for."""
    names = [member.filename for member in members]
    for member in members:
        path = PurePosixPath(member.filename)
        mode = stat.S_IFMT(member.external_attr >> 16)
        leaves = path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename.partition("/")[0]
        if leaves or mode not in (0, stat.S_IFREG, stat.S_IFDIR) or names.count(member.filename) > 1:
            what = "leads out of the folder" if leaves else "is no plain file"
            raise SourceProblem(
                f"'{file}' is refused: '{member.filename}' in it {what}.",
                fix="Give the zip file that the notebook's last cell downloads.",
            )
    size, free = sum(member.file_size for member in members), shutil.disk_usage(place).free
    if size > free:
        raise SourceProblem(
            f"'{file}' unpacks to {bytes_text(size)}, and {bytes_text(free)} are free.", fix="Make room, and give it again."
        )


def _checked(file: Path, folder: Path, order: NotebookOrder) -> CompareDocument:
    other = "Give the zip file that the notebook of this comparison downloaded."
    try:
        done = read_order(folder / ORDER)
        if (difference := done.differs_from(order)) is not None:
            raise SourceProblem(f"The results in '{file}' {difference}.", fix=other, file=str(file))
        document = TypeAdapter(CompareDocument).validate_python(json.loads((folder / DOCUMENT).read_text()))
        if [each["platform"] for each in document["platforms"]] != list(order.platforms):
            raise SourceProblem(f"'{file}' lacks platforms that were ordered.", fix=other, file=str(file))
    except (OSError, ValueError, ValidationError, NotThere) as error:
        what = error.what.rstrip(".") if isinstance(error, CaudalError) else str(error).partition("\n")[0].rstrip(".")
        raise SourceProblem(f"'{file}' holds no results of a notebook: {what}.", fix=other, file=str(file)) from None
    return document
