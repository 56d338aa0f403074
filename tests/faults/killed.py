"""Run the command line and die by SIGKILL at a chosen event: before or after each thing that leaves a trace on the disk.

Usage: ``python killed.py WHEN LOG -- run FOLDER …``, with WHEN one of ``count`` (only write the events' names into LOG), a number (the
event of that number, from 1), ``at:NAME`` (the first event of that name), ``soon:NAME`` (a little after it), ``after:SECONDS``, or
``server:NAME`` (at the first event of that name the process of Sail dies, and the command goes on).
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
import threading

PLACES = (
    ("caudal.batch.execute", "perform"),
    ("caudal.batch.execute", "write_step"),
    ("caudal.stages.ingest.sql.extract", "_write"),
    ("caudal.tables.landing", "_copy"),
    ("caudal.storage.delta", "commit"),
    ("caudal.batch.publish", "judge_and_write"),
    ("caudal.batch.publish", "_move_quarantined"),
    ("caudal.registry.register", "register"),
    ("caudal.registry.register", "_enter"),
    ("caudal.registry.decide", "promote"),
    ("caudal.batch.flow", "begin"),
    ("caudal.batch.flow", "end"),
    ("caudal.batch.flow", "recover"),
    ("caudal.batch.flow", "store_manifest"),
    ("caudal.streaming.in_process", "process_messages"),
    ("caudal.streaming.engine", "save"),
    ("caudal.streaming.publish", "append"),
    ("caudal.streaming.publish", "compact"),
    ("caudal.streaming.side", "added_files"),
    ("caudal.streaming.join", "append"),
    ("caudal.streaming.join", "compact"),
    ("caudal.streaming.structured.engine", "Gather"),
)
SOON_S = 0.3


def strike_after(seconds: float) -> None:
    """Die in so many seconds."""
    striking = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    striking.daemon = True
    striking.start()


def main() -> None:
    """Arm the places and run."""
    when, log = sys.argv[1], sys.argv[2]
    sys.argv = ["caudal", *sys.argv[4:]]
    count, has_struck_server = 0, False

    def event(name: str) -> None:
        nonlocal count, has_struck_server
        count += 1
        with open(log, "a") as out:
            out.write(f"{count} {name}\n")
        if (when.isdigit() and count == int(when)) or when == f"at:{name}":
            os.kill(os.getpid(), signal.SIGKILL)
        if when == f"soon:{name}":
            strike_after(SOON_S)
        if when == f"server:{name}" and not has_struck_server:
            has_struck_server = True
            os.kill(importlib.import_module("caudal.engine.choice").sail()._process.pid, signal.SIGKILL)

    def armed(function, name):
        @functools.wraps(function)
        def call(*args, **kwargs):
            about = next((str(one.name) for one in args if hasattr(one, "name") and type(one).__name__ != "Product"), "")
            event(f"before {name} {about}".strip())
            result = function(*args, **kwargs)
            event(f"after {name} {about}".strip())
            return result

        return call

    for module, name in PLACES:
        loaded = importlib.import_module(module)
        setattr(loaded, name, armed(getattr(loaded, name), name))
    if bytes_of_a_batch := os.environ.get("KILLED_BATCH_BYTES"):
        for executor in importlib.import_module("caudal.kinds").EXECUTORS.values():
            executor.MOST_BYTES = int(bytes_of_a_batch)
    if bytes_of_a_commit := os.environ.get("KILLED_JOIN_BYTES"):
        importlib.import_module("caudal.streaming.join")._BYTES = int(bytes_of_a_commit)
    if when.startswith("after:"):
        strike_after(float(when.removeprefix("after:")))
    from caudal.cli import main as run

    run()


if __name__ == "__main__":
    main()
