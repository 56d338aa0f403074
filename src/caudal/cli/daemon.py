"""Commands that keep products up to date: up, and backfill for past days."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from caudal.cli.app import (
    DataOption,
    EngineOption,
    Folder,
    HomeOption,
    JsonOption,
    LakeOption,
    WaitOption,
    app,
    exit_on_error,
    finish_run,
    print_json,
    show_problem,
    show_progress,
)
from caudal.declarations.settings import settings
from caudal.errors import DeclarationProblem, printable
from caudal.secret import redacted


@app.command("up")
def up_command(folders: Annotated[list[Path], typer.Argument(help="The products' folders.", show_default=False)], data: DataOption = None, home: HomeOption = None, lake: LakeOption = None, engine: EngineOption = None,
       as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
       settle: Annotated[float | None, typer.Option(help="Seconds for which a file must not have changed.  [default: 2]")] = None,
       scan: Annotated[float, typer.Option(min=0.1, help="Seconds between two full scans, besides those that a change triggers.")] = 10.0,
       grace: Annotated[float, typer.Option(help="Seconds that a running step has to end.")] = 60.0,
       at_once: Annotated[int, typer.Option(help="Runs of different products at a time.")] = 1,
       seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.  [default: at Ctrl-C or SIGTERM]")] = None,
       idle: Annotated[float | None, typer.Option(help="Stop when nothing has happened for so many seconds.")] = None) -> None:  # fmt: skip
    """Keep products running: by the clock, by files that arrive, by tables that are published. Ctrl-C or SIGTERM stops it."""
    from caudal.daemon import daemon
    from caudal.daemon.rounds import DaemonPace
    from caudal.report.terminal import up_line

    def print_event(document: dict[str, Any]) -> None:
        now = datetime.now().astimezone()
        at = {"at": now.isoformat(timespec="milliseconds")}
        print(
            json.dumps(redacted({**at, **document}), ensure_ascii=False) if as_json else printable(up_line(document, now)),
            flush=True,
        )

    with exit_on_error(as_json):
        pace = DaemonPace(scan_s=scan, grace_s=grace, at_once=at_once, seconds=seconds, idle_s=idle)
        daemon.up(folders, settings(home=home, lake=lake, data=data, engine=engine, settle=settle), print_event, pace)


@app.command("backfill")
def backfill_command(folder: Folder, first: Annotated[str | None, typer.Option("--from", help="First day, such as 2023-01-05.", show_default=False)] = None,
             last: Annotated[str | None, typer.Option("--to", help="Last day.", show_default=False)] = None,
             table: Annotated[list[str] | None, typer.Option("--table", help="A whole table instead of days, such as one whose files are damaged. May be given more than once.")] = None,
             yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False, data: DataOption = None, home: HomeOption = None, lake: LakeOption = None, engine: EngineOption = None,
             as_json: JsonOption = False, wait: WaitOption = 0.0) -> None:  # fmt: skip
    """Rebuild some days, or whole tables, from raw files with the product as it is now; for days, first show which tables, days and files that means."""
    from caudal.commands import backfill
    from caudal.commands.backfill import plan_backfill, rebuild
    from caudal.report.terminal import backfill_plan
    from caudal.runtime.process import Process

    with exit_on_error(as_json):
        set_to = settings(home=home, lake=lake, data=data, engine=engine)
        if bool(table) == (first is not None and last is not None) or (table and (first or last)):
            raise DeclarationProblem(
                "A backfill needs either days or tables.", fix="Give --from DAY and --to DAY, or --table NAME."
            )
        if table:
            with show_progress(as_json) as progress:
                process = Process(lambda error: show_problem(error, as_json))
                result = rebuild(folder, set_to, table, progress=progress, wait_s=wait, process=process)
            return finish_run(as_json, result)
        assert first is not None
        assert last is not None
        if not yes:
            plan_document = plan_backfill(folder, set_to, first, last)
            if as_json:
                return print_json(plan_document)
            print(backfill_plan(plan_document))
            if not sys.stdin.isatty():
                return print("Nothing was done. Give --yes to have it done.")
            if not typer.confirm("Make them again?"):
                return None
        with show_progress(as_json) as progress:
            process = Process(lambda error: show_problem(error, as_json))
            result = backfill.backfill(folder, set_to, first, last, progress=progress, wait_s=wait, process=process)
        finish_run(as_json, result)
    return None
