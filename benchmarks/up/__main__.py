"""``python -m benchmarks.up``: five hundred files in ten minutes, twenty kills."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.up.soak import soak, told


def main() -> int:
    """Soak, print what came of it, and return 1 when something was lost or doubled."""
    parser = argparse.ArgumentParser(description="Files dropped by two writers while the daemon is killed with -9.")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="work in this empty folder and leave it there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caudal-up-") as scratch:
        place = asked.keep or Path(scratch)
        soaked = soak(place, files=asked.files, kills=asked.kills, seconds=asked.seconds, seed=asked.seed)
    print(told(soaked))
    return 0 if soaked.sound else 1


if __name__ == "__main__":
    sys.exit(main())
