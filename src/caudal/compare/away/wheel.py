"""A wheel of the code that is installed here, so that elsewhere the same code does the work."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import caudal

_PACKAGE = "caudal"
_METADATA = ("METADATA", "entry_points.txt")
_WHEEL = "Wheel-Version: 1.0\nGenerator: caudal\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def installed_wheel() -> tuple[str, bytes]:
    """Return the name and the bytes of a wheel with the files of the imported package and the metadata of its installation.

    Nothing in it is compressed: what holds it is. A package of this name on an index could be another version, or another's.
    """
    installed = distribution(_PACKAGE)
    folder = f"{_PACKAGE}-{installed.version}.dist-info"
    root = Path(caudal.__file__).parent
    files = {
        f"{_PACKAGE}/{file.relative_to(root).as_posix()}": file.read_bytes() for file in sorted(root.rglob("*")) if _belongs(file)
    }
    files |= {f"{folder}/{name}": text.encode() for name in _METADATA if (text := installed.read_text(name)) is not None}
    files[f"{folder}/WHEEL"] = _WHEEL.encode()
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n".encode()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return f"{_PACKAGE}-{installed.version}-py3-none-any.whl", held.getvalue()


def _belongs(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
