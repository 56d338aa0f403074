"""The process of the engine ``sail``: a Connect server for the process that has started it, until its standard input ends."""

from __future__ import annotations

import os
import sys


def serve_client() -> None:
    """Start the server, print its port, and wait for the end of the standard input."""
    from pysail.spark import SparkConnectServer

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
