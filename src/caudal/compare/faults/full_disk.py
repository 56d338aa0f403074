"""``full-disk``: the disk of the home is full from one moment on; once there is room again, the same command is given again."""

from __future__ import annotations

import errno
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caudal.compare.fault import BrokenWork, Fault
from caudal.errors import EnvironmentProblem

_SIZE = "2g"  # of the file system in memory, which takes as much as is written
_FULL_S = 3.0
_FILLER = "filler"
_PIECE = bytes(1 << 20)


class FullDisk(Fault):
    """A file system of the home's own, in memory, that is filled."""

    name = "full-disk"
    about = f"the disk of the home fills, and has room again {_FULL_S:.0f} s later"

    @contextmanager
    def prepared(self, home: Path) -> Iterator[None]:
        """Mount a file system at the home, and unmount it afterwards.

        Raises
        ------
        EnvironmentProblem : this user may not mount
        """
        home.mkdir(parents=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(home)], capture_output=True, text=True, check=False
        )
        if mounted.returncode:
            raise EnvironmentProblem(f"No disk can be filled: this user may not mount one ({mounted.stderr.strip()}).")
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", str(home)], check=False)

    def strike(self, work: BrokenWork) -> None:
        """Fill the disk; make room once it was full for some seconds, or the work has ended of it."""
        with (work.home / _FILLER).open("wb", buffering=0) as filler:
            try:
                while filler.write(_PIECE):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        work.note("fault", "the disk is full")
        work.attempt.wait(time.monotonic() + _FULL_S)
        self.mend(work)

    def mend(self, work: BrokenWork) -> None:
        """Make room."""
        filler = work.home / _FILLER
        if filler.exists():
            filler.unlink()
            work.note("recovered", "the disk has room again")


FAULT = FullDisk()
