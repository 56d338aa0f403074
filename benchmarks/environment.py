"""What peers run in: a virtual environment each, made once in the user's cache from the file that pins it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from caudal.engine.cache import cache_dir
from caudal.errors import EnvironmentProblem


def python_with(pinned: Path) -> Path:
    """Return an interpreter that has what a file pins; the file's name names the environment.

    Raises
    ------
    EnvironmentProblem : it cannot be installed for this Python; nothing is kept
    """
    wanted = pinned.read_bytes() + sys.version.encode()
    folder = cache_dir("peers") / f"{pinned.stem}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    python, whole = folder / "bin" / "python", folder / "whole"
    if whole.is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(pinned)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise EnvironmentProblem(
                f"'{pinned.stem}' cannot be installed for Python {sys.version.split()[0]}: {done.stderr.strip()[-500:]}",
                fix="Compare without it, or with another Python.",
            )
    whole.touch()
    return python
