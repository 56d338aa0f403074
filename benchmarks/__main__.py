"""``make bench``: every benchmark, one after the other, each as its own command says it."""

import subprocess
import sys

for name in ("etl", "graph", "stream", "rows", "nab", "warehouse", "sums", "first_run"):
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
