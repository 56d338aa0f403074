"""Commands on machines, clusters and what they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from caudal.cli.app import EngineOption, JsonOption, app, exit_on_error, print_json, writing_to
from caudal.declarations.settings import settings


@app.command("inspect")
def inspect_command(session: Annotated[bool, typer.Option("--session", help="Start a Spark session, and ask it too: executors, metastore, tables.")] = False,
                    master: Annotated[str | None, typer.Option("--master", help="A Spark master, spark://host:port, or its page, http://host:8080.")] = None,
                    ui: Annotated[list[str] | None, typer.Option("--ui", help="Page of a running application.  [default: those on this machine]", show_default=False)] = None,
                    only: Annotated[list[str] | None, typer.Option("--only", help="Only this section. Can be given several times.", show_default=False)] = None,
                    html: Annotated[Path | None, typer.Option("--html", help="Write a page of one file.")] = None,
                    pdf: Annotated[Path | None, typer.Option("--pdf", help="Write a PDF.")] = None,
                    script: Annotated[bool, typer.Option("--script", help="Print a script that does the same where nothing can be installed.")] = False,
                    metadata: Annotated[str | None, typer.Option("--metadata", help="Address of the cloud's metadata services.  [default: http://169.254.169.254]")] = None,
                    timeout: Annotated[float, typer.Option("--timeout", min=0.05, help="Seconds until what does not answer counts as away.")] = 1.0,
                    engine: EngineOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show what this machine, its cluster and its Spark are, each fact with how it was found out."""
    from caudal.commands.inspect import InspectionRequest, inspection_document, inspection_script
    from caudal.inspection.page import inspection_page
    from caudal.inspection.scope import LINK_LOCAL

    with exit_on_error(as_json):
        if script:
            sys.stdout.write(inspection_script())
            return
        request = InspectionRequest(only or (), session, master, ui or (), metadata or LINK_LOCAL, timeout)
        document = inspection_document(request, settings(engine=engine))
        if html is not None:
            from caudal.report.markup import FOLDER
            from caudal.report.page_file import write_page

            with writing_to(html):
                write_page(html, inspection_page(document, (FOLDER / "run.css").read_text(encoding="utf-8")))
        if pdf is not None:
            from caudal.report.inspection_pdf import inspection_pdf

            content = inspection_pdf(document)
            with writing_to(pdf):
                pdf.write_bytes(content)
        if as_json:
            print_json(document)
        elif html is None and pdf is None:
            from caudal.report.terminal.inspection import print_inspection

            print_inspection(document)
        else:
            print(f"Wrote {' and '.join(str(file) for file in (html, pdf) if file is not None)}.")


@app.command("measures")
def measures_command(log: Annotated[Path, typer.Argument(help="An event log of Spark: a file, or a folder of rolled files.", show_default=False)],
                     other: Annotated[Path | None, typer.Argument(help="Another one, to compare with: settings that differ, totals of both.", show_default=False)] = None,
                     environment: Annotated[bool, typer.Option("--environment", help="Show the application's settings too.")] = False,
                     as_json: JsonOption = False) -> None:  # fmt: skip
    """Show what jobs and stages of a Spark event log cost: time, shuffle, spill, scheduler delay, GC, skew, stragglers."""
    from caudal.commands.measures import event_log_differences, event_log_measures

    with exit_on_error(as_json):
        if other is not None:
            differences = event_log_differences(log, other)
            if as_json:
                return print_json(differences)
            from caudal.report.terminal.measures import print_differences

            return print_differences(differences)
        document = event_log_measures(log)
        if as_json:
            return print_json(document)
        from caudal.report.terminal.measures import print_measures

        return print_measures(document, environment=environment)
