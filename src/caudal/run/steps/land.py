"""``land:<source>``: what has arrived is copied into the raw store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from caudal.lake.landing import land
from caudal.lake.records import landed
from caudal.run.step import Done
from caudal.run.workspace import Workspace
from caudal.spec.node import Source


def work(ws: Workspace, source: Source) -> Done:
    """Land every arrival that is whole; one that is still being written waits for the next run."""
    from caudal.stages.ingest import Seen, arrivals

    rows = ws.ledger.find(landed, product=ws.product.name, source=source.name)
    # What was refused is looked for again at its origin: it counts while it is there (`lake.landing.current`).
    known = [row for row in rows if row["kind"] not in ("refused", "gone") or Path(row["path"]).exists()]
    seen = {row["path"]: Seen(row["etag"], row["modified_ns"], row["bytes"], row["sha256"]) for row in known}
    scratch = ws.home.fetched(ws.product.name, source.name)
    scratch.mkdir(parents=True, exist_ok=True)
    found = arrivals(source.connection, data=ws.settings.data, scratch=scratch, seen=seen, clock=ws.clock)
    whole = [one for one in found if one.settled and not one.gone]
    files = land(whole, ws.home, ws.ledger, product=ws.product.name, source=source.name, run_id=ws.run_id)
    for one in found:
        if one.gone:
            ws.ledger.change(landed, {"product": ws.product.name, "source": source.name, "path": one.path}, kind="gone")
    shutil.rmtree(scratch, ignore_errors=True)
    said: list[dict[str, Any]] = [
        {"path": one.path, "bytes": one.bytes, "sha256": one.sha256, "state": "landed" if one.new else "known"} for one in files
    ]
    said += [{"path": one.path, "bytes": one.bytes, "sha256": None, "state": "waiting"} for one in found if not one.settled]
    waiting = [one["path"] for one in said if one["state"] == "waiting"]
    if not any(one.new for one in files) and not any(one.gone for one in found):
        why = "no new file" + (f"; still being written: {', '.join(map(str, waiting))}" if waiting else "")
        return Done(state="skipped", detail={"why": why, "files": said})
    return Done(detail={"files": said, "landed": sum(one.new for one in files), "waiting": waiting})
