"""A wheel of the caudal that runs here, so that a cluster has the same one."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

import caudal

ENTRY_POINT = "caudal-parcel"
"""The command of the wheel that does the work of a parcel."""
_ENTRY_POINTS = f"[console_scripts]\n{ENTRY_POINT} = caudal.compare.services.worker:work_on_parcel\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: caudal\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(folder: Path, without: Sequence[str]) -> Path:
    """Write the wheel into a folder and return its path.

    Parameters
    ----------
    without : distributions that it does not ask for, since the cluster has them as its own
    """
    own = distribution("caudal")
    package, info = Path(caudal.__file__).parent, f"caudal-{own.version}.dist-info"
    requirements = re.compile(rf"^Requires-Dist: (?:{'|'.join(map(re.escape, without))})\b.*\n", re.MULTILINE)
    metadata = own.read_text("METADATA") or ""
    metadata = requirements.sub("", metadata) if without else metadata
    wheel = folder / f"caudal-{own.version}-py3-none-any.whl"
    names = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                names.append(f"caudal/{file.relative_to(package).as_posix()}")
                archive.write(file, names[-1])
        for name, text in {"METADATA": metadata, "WHEEL": _WHEEL, "entry_points.txt": _ENTRY_POINTS}.items():
            names.append(f"{info}/{name}")
            archive.writestr(names[-1], text)
        # Hashes may be left out, and are: what was sent is what was written here.
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*names, f"{info}/RECORD"]))
    return wheel
