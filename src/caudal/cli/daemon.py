"""Commands that keep products going: up, and backfill for the days behind."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from caudal.cli.app import (
    DataOption,
    Folder,
    HomeOption,
    JsonOption,
    LakeOption,
    WaitOption,
    app,
    print_json,
    problems_shown,
    progress_shown,
    say_end,
    show_problem,
)
from caudal.declarations.settings import settings
from caudal.errors import DeclarationProblem, printable
from caudal.secret import redacted


@app.command()
def up(folders: Annotated[list[Path], typer.Argument(help="The products' folders.", show_default=False)], data: DataOption = None, home: HomeOption = None, lake: LakeOption = None,
       as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
       settle: Annotated[float | None, typer.Option(help="Seconds for which a file must not have changed.  [default: 2]")] = None,
       scan: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at everything, beside being woken.")] = 10.0,
       grace: Annotated[float, typer.Option(help="Seconds that a step at hand is given to end.")] = 60.0,
       at_once: Annotated[int, typer.Option(help="Runs of different products at a time.")] = 1,
       seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.  [default: at Ctrl-C or SIGTERM]")] = None,
       idle: Annotated[float | None, typer.Option(help="Stop when nothing has happened for so many seconds.")] = None) -> None:  # fmt: skip
    """Keep products running: by the clock, by files that arrive, by tables that are published. Ctrl-C or SIGTERM stops it."""
    from caudal.daemon.daemon import up as work
    from caudal.daemon.rounds import Pace
    from caudal.report.terminal import up_line

    def say(document: dict[str, Any]) -> None:
        now = datetime.now().astimezone()
        at = {"at": now.isoformat(timespec="milliseconds")}
        print(
            json.dumps(redacted({**at, **document}), ensure_ascii=False) if as_json else printable(up_line(document, now)),
            flush=True,
        )

    with problems_shown(as_json):
        pace = Pace(scan_s=scan, grace_s=grace, at_once=at_once, seconds=seconds, idle_s=idle)
        work(folders, settings(home=home, lake=lake, data=data, settle=settle), say, pace)


@app.command()
def backfill(folder: Folder, first: Annotated[str | None, typer.Option("--from", help="First day, such as 2023-01-05.", show_default=False)] = None,
             last: Annotated[str | None, typer.Option("--to", help="Last day.", show_default=False)] = None,
             table: Annotated[list[str] | None, typer.Option("--table", help="A whole table instead of days, such as one whose files are damaged. May be given more than once.")] = None,
             yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False, data: DataOption = None, home: HomeOption = None, lake: LakeOption = None,
             as_json: JsonOption = False, wait: WaitOption = 0.0) -> None:  # fmt: skip
    """Make some days, or whole tables, again from raw, by the product as it is now: of days first shows which tables, days and files that means."""
    from caudal.commands.backfill import backfill as work, plan, rebuild
    from caudal.report.terminal import backfill_plan
    from caudal.runtime.process import Process

    with problems_shown(as_json):
        set_to = settings(home=home, lake=lake, data=data)
        if bool(table) == (first is not None and last is not None) or (table and (first or last)):
            raise DeclarationProblem("Either days or tables are made again.", fix="Give --from DAY and --to DAY, or --table NAME.")
        if table:
            with progress_shown(as_json) as progress:
                process = Process(lambda error: show_problem(error, as_json))
                result = rebuild(folder, set_to, table, progress=progress, wait_s=wait, process=process)
            return say_end(as_json, result)
        assert first is not None
        assert last is not None
        if not yes:
            told = plan(folder, set_to, first, last)
            if as_json:
                return print_json(told)
            print(backfill_plan(told))
            if not sys.stdin.isatty():
                return print("Nothing was done. Give --yes to have it done.")
            if not typer.confirm("Make them again?"):
                return None
        with progress_shown(as_json) as progress:
            process = Process(lambda error: show_problem(error, as_json))
            result = work(folder, set_to, first, last, progress=progress, wait_s=wait, process=process)
        say_end(as_json, result)
    return None
