"""What peers run in: a virtual environment each, made once in the user's cache from the file that pins it."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caudal.engine.cache import cache_dir
from caudal.errors import EnvironmentProblem


@dataclass(frozen=True)
class Environment:
    """A virtual environment in the cache.

    Parameters
    ----------
    set_up_s, set_up_processor_s : what it took to make it, downloads included; None where it was made before that was noted
    """

    folder: Path
    set_up_s: float | None = None
    set_up_processor_s: float | None = None

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def megabytes(self) -> float:
        """Return how much is installed in it."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink()]
        return sum(path.stat().st_size for path in files) / 1e6


def python_with(pinned: Path) -> Path:
    """Return an interpreter that has what a file pins; the file's name names the environment.

    Raises
    ------
    EnvironmentProblem : it cannot be installed for this Python; nothing is kept
    """
    return environment(pinned).python


def environment(pinned: Path) -> Environment:
    """Return the environment that has what a file pins; see `python_with`."""
    return installed(pinned.stem, pinned.read_bytes(), ["--requirement", str(pinned)])


def installed(name: str, wanted: bytes, packages: Sequence[str]) -> Environment:
    """Return an environment that has what pip makes of ``packages``; ``wanted`` tells it from an older one of that name.

    Raises
    ------
    EnvironmentProblem : it cannot be installed for this Python; nothing is kept
    """
    key = hashlib.sha256(wanted + sys.version.encode()).hexdigest()[:12]
    folder = cache_dir("peers") / f"{name}-{key}"
    whole = folder / "whole"
    if whole.is_file():
        return Environment(folder, **json.loads(whole.read_text() or "{}"))
    shutil.rmtree(folder, ignore_errors=True)
    began, before = time.perf_counter(), _children_s()
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise EnvironmentProblem(
                f"'{name}' cannot be installed for Python {sys.version.split()[0]}: {done.stderr.strip()[-500:]}",
                fix="Compare without it, or with another Python.",
            )
    made = Environment(folder, round(time.perf_counter() - began, 1), round(_children_s() - before, 1))
    whole.write_text(json.dumps({"set_up_s": made.set_up_s, "set_up_processor_s": made.set_up_processor_s}))
    return made


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
