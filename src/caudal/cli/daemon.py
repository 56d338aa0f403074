"""Commands that keep products going: up, and backfill for the days behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from caudal.cli.app import DataOption, HomeOption, app, problems_shown
from caudal.spec.settings import settings


@app.command()
def up(folders: Annotated[list[Path], typer.Argument(help="The products' folders.", show_default=False)], data: DataOption = None, home: HomeOption = None,
       as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
       settle: Annotated[float | None, typer.Option(help="Seconds for which a file must not have changed.  [default: 2]")] = None,
       scan: Annotated[float, typer.Option(help="Seconds between two looks at everything, beside being woken.")] = 10.0,
       grace: Annotated[float, typer.Option(help="Seconds that a step at hand is given to end.")] = 60.0,
       at_once: Annotated[int, typer.Option(help="Runs of different products at a time.")] = 1,
       seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.  [default: at Ctrl-C or SIGTERM]")] = None,
       idle: Annotated[float | None, typer.Option(help="Stop when nothing has happened for so many seconds.")] = None) -> None:  # fmt: skip
    """Keep products running: by the clock, by files that arrive, by tables that are published. Ctrl-C or SIGTERM stops it."""
    from caudal.report.terminal import up_line
    from caudal.run.up.daemon import Pace, up as work

    def say(document: dict[str, Any]) -> None:
        line = json.dumps(document, default=str, ensure_ascii=False) if as_json else up_line(document)
        print(line, flush=True)

    with problems_shown(as_json):
        pace = Pace(scan_s=scan, grace_s=grace, at_once=at_once, seconds=seconds, idle_s=idle)
        work(folders, settings(home=home, data=data, settle=settle), say, pace)
