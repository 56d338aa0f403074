"""The process of the engine ``sail``: a Connect server for the process that has started it, until its standard input ends."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

# Above 0 and below 1000: what Linux adds to how much of the memory a process has, in thousandths, when one has to end.
FIRST_TO_END = 500


def serve_client() -> None:
    """Start the server, print its port, and wait for the end of the standard input."""
    from pysail.spark import SparkConnectServer

    # Where memory runs out this process ends, not the run that has started it: its step is then done on Spark, which needs less.
    with contextlib.suppress(OSError):  # another system than Linux
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_END))
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    address = server.listening_address
    assert address is not None
    sys.stdout.write(f"{address[1]}\n")
    sys.stdout.flush()
    # Python functions of tables may print: their output goes where errors go, since nobody reads this pipe from now on.
    os.dup2(2, 1)
    sys.stdin.buffer.read()
    os._exit(0)  # queries of a client that is gone are of no use to anybody


if __name__ == "__main__":
    serve_client()
