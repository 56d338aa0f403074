"""``python -m benchmarks.serving.paced``: what two server processes can answer at most, and how long answers take at a share of that.

The load comes from `oha` (``cargo install oha --locked``), whose cost for a request is a fifth of that of the other benchmarks' generator: on two cores the
generator's part is what the server lacks. At a pace, a request's time counts from when it was due, so that a pause of the server counts for all requests
that it holds up.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.serving.__main__ import KEY, megabytes, running, with_children
from benchmarks.serving.model import COMPILED, LOOKED_UP, asked as asked_of, make_home


def load(
    generator: str, port: int, path: str, body: bytes, connections: int, seconds: float, per_second: float | None
) -> dict[str, Any]:
    """Return what came of a load; as fast as the server answers where no pace is given."""
    pace = [] if per_second is None else ["-q", str(round(per_second)), "--latency-correction"]
    command = [
        generator, "--no-tui", "--output-format", "json", "-z", f"{seconds:g}s", "-c", str(connections), *pace, "-m", "POST",
        "-T", "application/json", "-H", f"X-API-Key: {KEY}", "-d", body.decode(), f"http://127.0.0.1:{port}{path}",
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    percentiles = {f"{name}_ms": round(told["latencyPercentiles"][name] * 1e3, 2) for name in ("p50", "p95", "p99", "p99.9")}
    others = {code: count for code, count in told["statusCodeDistribution"].items() if code != "200"}
    return {"per_second": round(told["summary"]["requestsPerSec"]), **percentiles, "other_answers": others}


def main() -> None:
    """Print a line of JSON for each load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--shares", type=float, nargs="*", default=[0.25, 0.5, 0.8])
    parser.add_argument(
        "--rates", type=float, nargs="*", default=[6000, 3000], help="requests a second: of arrays, and with look-ups"
    )
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    generator = shutil.which("oha")
    if generator is None:
        raise SystemExit("oha is not on the path. Install it with: cargo install oha --locked")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        row = make_home(folder)
        bodies = {COMPILED: json.dumps(row).encode(), LOOKED_UP: json.dumps(asked_of(row)).encode()}
        rates = dict(zip(bodies, given.rates, strict=True)) if given.rates else {}
        for number in range(given.rounds):
            for model, body in bodies.items():
                path = f"/api/v1/bench/{model}/predict"
                with running(model, folder, body, path, given.processes) as (port, pid, start_s):
                    asked = (generator, port, path, body, given.connections, given.seconds)
                    most = load(*asked, None)
                    line = {"round": number, "model": model, "start_s": round(start_s, 2), "machine_load": os.getloadavg()[0]}
                    print(json.dumps({**line, "share": 1.0, **most}), flush=True)
                    for share in given.shares:
                        print(json.dumps({**line, "share": share, **load(*asked, share * most["per_second"])}), flush=True)
                    if model in rates:
                        print(json.dumps({**line, "rate": rates[model], **load(*asked, rates[model])}), flush=True)
                    print(json.dumps({**line, "MB": round(sum(map(megabytes, with_children(pid))))}), flush=True)


if __name__ == "__main__":
    main()
