"""Commands on machines, clusters and what they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from caudal.cli.app import (
    DataOption,
    EngineOption,
    HomeOption,
    JsonOption,
    app,
    exit_on_error,
    print_json,
    writing_to,
)
from caudal.declarations.settings import settings
from caudal.errors import DeclarationProblem, printable


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
def measures_command(log: Annotated[str, typer.Argument(help="An event log of Spark: a file, or a folder of rolled files; or ssh://[USER@]HOST[:PORT]/PATH.", show_default=False)],
                     other: Annotated[str | None, typer.Argument(help="Another one, to compare with: settings that differ, totals of both.", show_default=False)] = None,
                     jump: Annotated[str | None, typer.Option("--jump", help="Host through which that of ssh://… is reached: [USER@]HOST[:PORT].", show_default=False)] = None,
                     environment: Annotated[bool, typer.Option("--environment", help="Show the application's settings too.")] = False,
                     as_json: JsonOption = False) -> None:  # fmt: skip
    """Show what jobs and stages of a Spark event log cost: time, shuffle, spill, scheduler delay, GC, skew, stragglers."""
    from caudal.commands.measures import event_log_differences, event_log_measures, log_at

    with exit_on_error(as_json):
        if other is not None:
            with log_at(log, jump) as first, log_at(other, jump) as second:
                differences = event_log_differences(first, second)
            differences["log"], differences["other"] = log, other
            if as_json:
                return print_json(differences)
            from caudal.report.terminal.measures import print_differences

            return print_differences(differences)
        with log_at(log, jump) as path:
            document = event_log_measures(path)
        document["log"] = log
        if as_json:
            return print_json(document)
        from caudal.report.terminal.measures import print_measures

        return print_measures(document, environment=environment)


@app.command("tunnel")
def tunnel_command(bastion: Annotated[str, typer.Argument(help="The host that reaches the target: [USER@]HOST[:PORT].", show_default=False)],
                   to: Annotated[str, typer.Option("--to", help="The target, HOST:PORT, as that host names it: history:18080.", show_default=False)],
                   port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
                   jump: Annotated[str | None, typer.Option("--jump", help="Host through which the bastion is reached: [USER@]HOST[:PORT].", show_default=False)] = None) -> None:  # fmt: skip
    """Forward a port on loopback through SSH, such as to a Spark history server that only a bastion reaches."""
    from caudal.commands.tunnel import open_tunnel

    with exit_on_error(False):
        open_tunnel(bastion, to, port=port, jump=jump, say=lambda line: print(printable(line), flush=True))


@app.command("compare")
def compare_command(folder: Annotated[Path, typer.Argument(help="The product's folder; or the comparison.json of a comparison, whose report is then written anew.", show_default=False)],
                    on: Annotated[str, typer.Option("--on", help="Platforms, with commas: here, sail, local[N], rapids[N], cluster:N, hosts:N, spark://HOST:PORT, yarn, k8s://…, sc://HOST:PORT, databricks:NAME, emr:NAME, colab.", show_default=False)] = "",
                    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Repetitions on each platform; a claim needs two.")] = 3,
                    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Repetitions before them, which do not count.")] = 1,
                    fault: Annotated[list[str] | None, typer.Option("--fault", help="Break it: kill-worker, cut-network, kill-driver, full-disk, less-memory, lose-gpu. Can be given several times.", show_default=False)] = None,
                    workload: Annotated[Literal["run", "stream"] | None, typer.Option("--workload", help="What is done.  [default: stream where the product has one]")] = None,
                    seconds: Annotated[float, typer.Option("--seconds", help="Of the simulated stream, where the home has no messages.")] = 120.0,
                    devices: Annotated[int, typer.Option("--devices", min=1, help="Of the simulated stream.")] = 8,
                    share: Annotated[str, typer.Option("--share", help="Further shares of the simulated stream, with commas, for the scaling model: 0.25,0.5.", show_default=False)] = "",
                    limit: Annotated[float, typer.Option("--limit", min=1.0, help="Seconds until work that does not end is stopped.")] = 900.0,
                    seed: Annotated[int, typer.Option("--seed", help="Of the order of the repetitions, and of the simulator.")] = 0,
                    send: Annotated[bool, typer.Option("--send", help="Each repetition may send rows, publish to warehouses and alert, as the product declares.")] = False,
                    prices: Annotated[Path | None, typer.Option("--prices", help="JSON file: the price of an hour of a core, by platform.")] = None,
                    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the report into the folder, as page and PDF.")] = True,
                    language: Annotated[str, typer.Option("--language", help="Of the report: en, es, or both with a comma.")] = "en",
                    out: Annotated[Path | None, typer.Option("--out", help="Folder that keeps logs, results and the document.  [default: HOME/comparisons/…]")] = None,
                    colab: Annotated[Path | None, typer.Option("--colab", help="With a comparison.json: take in the zip file that its notebook colab.ipynb has downloaded.", show_default=False)] = None,
                    data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Do a product's work on several platforms: measured, repeated in shuffled order, broken on purpose, its tables compared.

    Exit code 1: a platform failed or could not be reached, tables differ, or a fault lost or doubled rows.
    """
    from caudal.commands.compare import (
        CompareOptions,
        compare_product,
        is_sound,
        next_step,
        read_comparison,
        report_comparison,
        take_in_results,
    )
    from caudal.compare.report.language import check_languages

    def say(line: str) -> None:
        if not as_json:
            print(printable(line), flush=True)

    with exit_on_error(as_json):
        check_languages(_listed(language))
        if folder.is_file() and folder.suffix == ".json":
            document = read_comparison(folder) if colab is None else take_in_results(folder, colab)
            place = out or folder.parent
        elif colab is not None:
            raise DeclarationProblem(
                f"--colab takes results into a comparison, and '{folder}' is none.", fix="Give its comparison.json."
            )
        else:
            options = CompareOptions(
                _listed(on), fault or (), workload, repeat, warm_up, seconds, devices, _shares(share), limit, seed, out, prices, send,
            )  # fmt: skip
            document = compare_product(folder, settings(home=home, data=data), options, say)
            place = Path(document["folder"])
        stopped = document["stopped_by"] is not None
        files = report_comparison(document, place, _listed(language), say) if report and not stopped else []
        if as_json:
            print_json(document)
        else:
            from caudal.report.terminal.comparison import print_comparison

            print_comparison(document)
            if files:
                print(printable(f"The report: {', '.join(str(file) for file in files)}"))
            if any(platform["state"] == "awaited" for platform in document["platforms"]):
                print(printable(next_step(place)))
        if not is_sound(document):
            raise typer.Exit(1)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _shares(text: str) -> list[float]:
    """Return shares of the data that are written with commas."""
    try:
        shares = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        shares = [-1.0]
    if any(not 0 < each <= 1 for each in shares):
        raise DeclarationProblem(f"--share is '{text}'.", fix="Give numbers above 0 and up to 1, with commas: 0.25,0.5.")
    return shares
