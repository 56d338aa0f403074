"""One run in a separate process: ``python -m caudal.daemon.child '{"folder": …, "run_id": …}'``.

It ends when the daemon does: its standard input is a pipe that nobody writes to; when the pipe closes, the daemon has died. On
SIGTERM it stops after the current step.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from caudal.batch.batch import run
from caudal.daemon.events import record_events
from caudal.daemon.watchers.files import arrival_event
from caudal.declarations.connection import Files
from caudal.declarations.node import Source
from caudal.declarations.settings import settings
from caudal.declarations.trigger import OnArrival
from caudal.errors import CaudalError, Stopped
from caudal.ledger.records import events, landed
from caudal.runtime.process import Process
from caudal.runtime.run_record import RunRecord
from caudal.stages.ingest import Arrival

WAIT_S = 60.0  # to wait for another run of the product to end


def run_order() -> int:
    """Run the product that the order names, print the outcome as one JSON line, and return the exit code."""
    order = json.loads(sys.argv[1])
    process = Process(lambda error: print(json.dumps(error.as_dict())))

    def request_stop(*_: object) -> None:
        process.stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon handles Ctrl-C
    threading.Thread(target=_exit_with_daemon, daemon=True).start()
    try:
        place = settings(
            home=Path(order["home"]),
            data=order["data"] and Path(order["data"]),
            settle=order["settle_s"],
            lake=order["lake"],
            engine=order.get("engine"),
        )
        result = run(
            Path(order["folder"]), place, pipeline=order["pipeline"], wait_s=WAIT_S, run_id=order["run_id"], process=process,
            before_landing=_record_arrivals,
        )  # fmt: skip
    except CaudalError as error:
        print(json.dumps(error.as_dict()))
        return error.exit_code
    print(json.dumps(result.error.as_dict() if result.error else {"state": result.document["state"]}, default=str))
    return Stopped.exit_code if isinstance(result.error, Stopped) else result.exit_code


def _record_arrivals(record: RunRecord, source: Source, files: Sequence[Arrival]) -> None:
    """Record the files that this run is about to land and the daemon has not recorded yet: an event is in the ledger before it is
    handled."""
    taken_events = record.ledger.find(events, run_id=record.run_id, state="taken", limit=1)
    if taken_events and isinstance(source.trigger, OnArrival) and isinstance(source.connection, Files):
        taken_columns = {"taken_by": taken_events[0]["taken_by"], "run_id": record.run_id}
        rows = record.ledger.find(landed, product=record.product_name, source=source.name)
        landed_last = {row["path"]: row["seq"] for row in rows}
        arrivals = [
            arrival_event(record.product_name, source, file, record.clock(), landed_last.get(file.path, 0)) for file in files
        ]
        record_events(record.ledger, arrivals, taken_by_run=taken_columns)


def _exit_with_daemon() -> None:
    while os.read(0, 1024):
        pass
    os._exit(Stopped.exit_code)


if __name__ == "__main__":
    sys.exit(run_order())
