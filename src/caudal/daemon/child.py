"""One run in a process of its own: ``python -m caudal.daemon.child '{"folder": …, "run_id": …}'``.

It ends when the daemon does: its standard input is a pipe that nobody writes to, and whose end says that the daemon has died. Asked by
SIGTERM it stops after the step at hand.
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
from caudal.daemon.events import note
from caudal.daemon.watchers.files import arrived
from caudal.declarations.connection import Files
from caudal.declarations.node import Source
from caudal.declarations.settings import settings
from caudal.declarations.trigger import OnArrival
from caudal.errors import CaudalError, Stopped
from caudal.ledger.records import events, landed
from caudal.runtime.workspace import Process, Workspace
from caudal.stages.ingest import Arrival

WAIT_S = 60.0  # for another run of the product to end


def main() -> int:
    """Run what the order says, print how it ended as one JSON line, and return the exit code."""
    order = json.loads(sys.argv[1])
    process = Process(lambda error: print(json.dumps(error.as_dict())))

    def ask(*_: object) -> None:
        process.asked_to_stop = True

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's to hear
    threading.Thread(target=_end_with_the_daemon, daemon=True).start()
    try:
        place = settings(
            home=Path(order["home"]), data=order["data"] and Path(order["data"]), settle=order["settle_s"], lake=order["lake"]
        )
        result = run(
            Path(order["folder"]), place, pipeline=order["pipeline"], wait_s=WAIT_S, run_id=order["run_id"], process=process,
            arrived=_noted,
        )  # fmt: skip
    except CaudalError as error:
        print(json.dumps(error.as_dict()))
        return error.exit_code
    print(json.dumps(result.error.as_dict() if result.error else {"state": result.document["state"]}, default=str))
    return Stopped.exit_code if isinstance(result.error, Stopped) else result.exit_code


def _noted(ws: Workspace, source: Source, files: Sequence[Arrival]) -> None:
    """Note what this run is about to land and the daemon has not come to see yet, or has not lived to: events are rows before anything is done."""
    mine = ws.ledger.find(events, run_id=ws.run_id, state="taken", limit=1)
    if mine and isinstance(source.trigger, OnArrival) and isinstance(source.connection, Files):
        taken = {"taken_by": mine[0]["taken_by"], "run_id": ws.run_id}
        rows = ws.ledger.find(landed, product=ws.product.name, source=source.name)
        landed_last = {row["path"]: row["seq"] for row in rows}
        happened = [arrived(ws.product.name, source, file, ws.clock(), landed_last.get(file.path, 0)) for file in files]
        note(ws.ledger, happened, taken=taken)


def _end_with_the_daemon() -> None:
    while os.read(0, 1024):
        pass
    os._exit(Stopped.exit_code)


if __name__ == "__main__":
    sys.exit(main())
