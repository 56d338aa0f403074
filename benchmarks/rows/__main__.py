"""``python -m benchmarks.rows``: seconds from a message's time to the commit that makes it visible, by table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.rows.measure import CASES, measure


def main() -> int:
    """Measure each case and print its quantiles."""
    parser = argparse.ArgumentParser(description="Latency of caudal stream for messages that are rows.")
    parser.add_argument("--only", choices=[case.name for case in CASES])
    parser.add_argument("--rate", type=float, default=5.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--warm", type=float, default=30.0, help="seconds at the beginning that do not count")
    asked = parser.parse_args()
    for case in CASES:
        if asked.only in (None, case.name):
            with tempfile.TemporaryDirectory(prefix="caudal-rows-") as scratch:
                print(
                    json.dumps(measure(case, Path(scratch), rate=asked.rate, seconds=asked.seconds, warm_s=asked.warm)), flush=True
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
