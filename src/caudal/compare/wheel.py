"""A wheel of the code that is installed here, so that elsewhere the same code does the work."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

import caudal

_PACKAGE = "caudal"
_WHEEL = "Wheel-Version: 1.0\nGenerator: caudal\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def installed_wheel(
    without: Sequence[str] = (), entry_points: str | None = None, compression: int = zipfile.ZIP_STORED
) -> tuple[str, bytes]:
    """Return the name and the bytes of a wheel with the files of the imported package and the metadata of its installation.

    A package of this name on an index could be another version, or another's.

    Parameters
    ----------
    without : distributions that it does not ask for, since the other machine has its own
    entry_points : the text of its entry points in place of those of the installation
    compression : of its files, as `zipfile` names it
    """
    installed = distribution(_PACKAGE)
    folder = f"{_PACKAGE}-{installed.version}.dist-info"
    root = Path(caudal.__file__).parent
    files = {
        f"{_PACKAGE}/{file.relative_to(root).as_posix()}": file.read_bytes() for file in sorted(root.rglob("*")) if _belongs(file)
    }
    asked_for = re.compile(rf"^Requires-Dist: (?:{'|'.join(map(re.escape, without))})\b.*\n", re.MULTILINE)
    metadata = installed.read_text("METADATA") or ""
    texts = {"METADATA": asked_for.sub("", metadata) if without else metadata, "WHEEL": _WHEEL}
    points = entry_points if entry_points is not None else installed.read_text("entry_points.txt")
    texts |= {} if points is None else {"entry_points.txt": points}
    files |= {f"{folder}/{name}": text.encode() for name, text in texts.items()}
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n".encode()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return f"{_PACKAGE}-{installed.version}-py3-none-any.whl", held.getvalue()


def _belongs(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
