"""The wheel of the caudal that runs here, with the entry point by which a cluster does its work."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from caudal.compare.wheel import installed_wheel

ENTRY_POINT = "caudal-parcel"
"""The command of the wheel that does the work of a parcel."""
_ENTRY_POINTS = f"[console_scripts]\n{ENTRY_POINT} = caudal.compare.services.worker:work_on_parcel\n"


def write_wheel(folder: Path, without: Sequence[str]) -> Path:
    """Write the wheel into a folder and return its path.

    Parameters
    ----------
    without : distributions that it does not ask for, since the cluster has them as its own
    """
    name, content = installed_wheel(without, _ENTRY_POINTS, zipfile.ZIP_DEFLATED)
    wheel = folder / name
    wheel.write_bytes(content)
    return wheel
