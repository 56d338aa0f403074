"""Commands on a product's folder: create, check, draw, run and serve it."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from caudal.cli.app import (
    DataOption,
    EngineOption,
    Folder,
    HomeOption,
    JsonOption,
    LakeOption,
    ProductOption,
    WaitOption,
    app,
    exit_on_error,
    finish_run,
    print_json,
    print_result,
    show_problem,
    show_progress,
    writing_to,
)
from caudal.cli.certificate import CertificateOption, TlsKeyOption, certificate
from caudal.declarations.settings import settings


@app.command("demo")
def demo_command(data: DataOption = None, home: HomeOption = None, lake: LakeOption = None, engine: EngineOption = None, as_json: JsonOption = False,
         serve: Annotated[bool, typer.Option(help="Leave the web app running at the end (on a terminal).")] = True,
         port: Annotated[int, typer.Option(help="Port of the web app; 0 takes a free one.")] = 0,
         simulate: Annotated[bool, typer.Option("--simulate", help="Use simulated trips at once, without trying the network.")] = False) -> None:  # fmt: skip
    """Run the taxi product from raw trips to a served prediction."""
    from caudal.commands import demo

    with exit_on_error(as_json):
        demo.demo(
            settings(home=home or Path(os.environ.get("CAUDAL_HOME", ".caudal-demo")), lake=lake, data=data, engine=engine),
            as_json=as_json,
            keep=serve,
            port=port,
            simulate=simulate,
        )


@app.command()
def new(name: Annotated[str, typer.Argument(help="Name of the product.")],
        into: Annotated[Path, typer.Option("--into", help="Folder to make it in.")] = Path(), as_json: JsonOption = False) -> None:  # fmt: skip
    """Make a product's folder: a sample that runs, its data, its tests and a README."""
    from caudal.commands.new import create_product

    with exit_on_error(as_json):
        product_folder = create_product(name, into)
        print_result(
            as_json,
            {"product": name, "folder": str(product_folder)},
            f"Made {product_folder}. Next:\n\n  caudal run {product_folder}\n",
        )


@app.command("check")
def check_command(folder: Folder, data: DataOption = None, home: HomeOption = None, engine: EngineOption = None, as_json: JsonOption = False,
          static: Annotated[bool, typer.Option("--static", help="Read the declaration only; do not let Spark analyse it.")] = False) -> None:  # fmt: skip
    """Find what is wrong with a declaration. Reads no data but the headers of files whose columns are not declared."""
    from caudal.commands.check import check

    with exit_on_error(as_json):
        notes: list[str] = []
        problems = check.check_product(folder, settings(home=home, data=data, engine=engine), static=static, note=notes.append)
        lines = [f"  {note}" for note in notes]
        if not problems:
            return print_result(
                as_json, {"ok": True, "problems": [], "notes": notes}, "\n".join([f"{folder}: nothing wrong.", *lines])
            )
        print_result(
            as_json,
            {"ok": False, "problems": [problem.as_dict() for problem in problems], "notes": notes},
            "\n".join([*(f"✗ {problem.sentence()}" for problem in problems), *lines]),
        )
        raise typer.Exit(2)


@app.command("graph")
def graph_command(folder: Folder, svg: Annotated[Path | None, typer.Option("--svg", help="Write the drawing into this file.")] = None,
          as_json: JsonOption = False) -> None:  # fmt: skip
    """Draw a product's graph, as text or as SVG."""
    from caudal.graph.build import build
    from caudal.graph.draw import as_svg, as_text
    from caudal.graph.load import load

    with exit_on_error(as_json):
        product_graph = build(load(folder))
        if svg:
            with writing_to(svg):
                svg.write_text(as_svg(product_graph))
        nodes = [
            {"name": node.name, "kind": node.kind, "inputs": list(node.inputs), "description": node.description}
            for node in product_graph.nodes.values()
        ]
        print_result(
            as_json, {"nodes": nodes, "svg": str(svg) if svg else None}, f"Wrote {svg}." if svg else as_text(product_graph)
        )


@app.command("run")
def run_command(folder: Folder, data: DataOption = None, home: HomeOption = None, lake: LakeOption = None, engine: EngineOption = None, as_json: JsonOption = False, wait: WaitOption = 0.0,
        only: Annotated[Literal["all", "train", "predict"], typer.Option("--only", help="One of the product's two pipelines.")] = "all") -> None:  # fmt: skip
    """Bring a product up to date: land, check, build, train, promote, predict. What is up to date is skipped."""
    from caudal.batch import batch
    from caudal.runtime.process import Process

    with exit_on_error(as_json):
        process = Process(lambda error: show_problem(error, as_json))
        with show_progress(as_json) as progress:
            result = batch.run(
                folder,
                settings(home=home, lake=lake, data=data, engine=engine),
                pipeline=only,
                progress=progress,
                wait_s=wait,
                process=process,
                go_on=True,
            )
        finish_run(as_json, result)


@app.command("preview")
def preview_command(folder: Folder, table: Annotated[str, typer.Argument(help="A table that the product makes from others.")],
            rows: Annotated[int, typer.Option("--rows", min=1, help="About how many rows of each input are read: its newest days.")] = 1000,
            data: DataOption = None, home: HomeOption = None, lake: LakeOption = None, engine: EngineOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show what a table's function gives for the newest rows of its inputs, judged. Publishes nothing."""
    from caudal.commands.preview import preview_document, preview_table

    with exit_on_error(as_json):
        chosen = settings(home=home, lake=lake, data=data, engine=engine)
        with show_progress(as_json) as progress:
            preview = preview_table(folder, table, chosen, rows, progress)
        document = preview_document(preview)
        if as_json:
            return print_json(document)
        from caudal.report.terminal import print_preview

        return print_preview(document)


@app.command("explain")
def explain_command(folder: Folder, name: Annotated[str, typer.Argument(help="A source, table, model or other node of the product.")],
            home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show what a node is made of, and why its steps ran or rested the last time."""
    from caudal.commands.explain import explain_node
    from caudal.graph.load import load

    with exit_on_error(as_json):
        facts = list(explain_node(load(folder), name, settings(home=home, lake=lake)))
        lines = [name, *(f"  {label:<{max(len(label) for label, _ in facts)}}  {text}" for label, text in facts)]
        print_result(as_json, {"name": name, "facts": [{"fact": label, "text": text} for label, text in facts]}, "\n".join(lines))


@app.command("predict")
def predict_command(
    folder: Folder,
    data: DataOption = None,
    home: HomeOption = None,
    lake: LakeOption = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = 0.0,
) -> None:
    """Write predictions by the published champion; trains nothing."""
    run_command(folder, data, home, lake, engine, as_json, wait, "predict")


@app.command("times")
def times_command(product: ProductOption = None, step: Annotated[str | None, typer.Option(help="One step, run by run.")] = None,
          home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show how long steps took, the usual duration, and its trend."""
    from caudal.commands import times

    with exit_on_error(as_json):
        document = times.step_times(settings(home=home), product, step)
        if as_json:
            return print_json(document)
        from caudal.report import terminal

        return terminal.print_times(document, with_history=step is not None)


@app.command("status")
def status_command(folder: Annotated[Path | None, typer.Argument(help="The product's folder; all products of the home when left out. With --why also PRODUCT, STEP or PRODUCT/STEP.")] = None,
           home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False,
           why: Annotated[bool, typer.Option("--why", help="Show for each step why it ran or was skipped the last time.")] = False) -> None:  # fmt: skip
    """Show products, last runs, tables and champions."""
    from caudal.commands import status

    with exit_on_error(as_json):
        if why:
            from caudal.commands.why import why_steps_ran
            from caudal.report import terminal

            document = why_steps_ran(settings(home=home, lake=lake), folder)
            return print_json(document) if as_json else terminal.print_why(document)
        status_document = status.home_status(settings(home=home, lake=lake), folder)
        if as_json:
            return print_json(status_document)
        from caudal.report import terminal

        terminal.print_status(status_document)
    return None


@app.command("monitor")
def monitor_command(product: Annotated[str | None, typer.Argument(help="The product's name; needed when the home holds several.")] = None,
            name: Annotated[str | None, typer.Option("--name", help="One monitor; all of them when left out.")] = None,
            home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show what monitors see: drift, rows, predictions and errors by window, with thresholds and states; and what servers were asked."""
    from caudal.commands import monitor as command

    with exit_on_error(as_json):
        document = command.monitor(settings(home=home), product, name)
        if as_json:
            return print_json(document)
        from caudal.report import terminal

        terminal.monitors(document)
        terminal.print_served(document["product"], document["served"])
    return None


@app.command("sla")
def sla_command(product: Annotated[str | None, typer.Argument(help="The product's name or folder; all products of the home when left out.", show_default=False)] = None,
          home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show service levels: what is promised, what was measured, and what is left of the error budget."""
    from caudal.commands import sla

    with exit_on_error(as_json):
        document = sla.service_levels(settings(home=home), product)
        if as_json:
            return print_json(document)
        from caudal.report import terminal

        return terminal.print_service_levels(document)


@app.command("serve")
def serve_command(folder: Annotated[Path | None, typer.Argument(help="The product's folder; every product of the home when left out.")] = None,
          home: HomeOption = None, lake: LakeOption = None, host: Annotated[str, typer.Option(help="Address to listen on; any but loopback demands a key.")] = "127.0.0.1",
          port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
          key: Annotated[str | None, typer.Option(help="A key that callers may give besides those of 'caudal key'.  [env: CAUDAL_KEY]")] = None,
          tls_certificate: CertificateOption = None, tls_key: TlsKeyOption = None,
          processes: Annotated[int | None, typer.Option(min=1, max=256, help="Server processes; each has the models in memory.  [default: one for each core, at most 4]")] = None) -> None:  # fmt: skip
    """Serve the champions: a form, a JSON API with OpenAPI, health, and each model's card."""
    gc.disable()  # until the champions are loaded, `serve` looks for no garbage: a start makes none, and looking takes a tenth of it

    from caudal.graph.product_name import product_name
    from caudal.runtime.opening import open_home
    from caudal.serve import server
    from caudal.web.processes import default_processes

    with exit_on_error(False):
        set_to = settings(home=home, key=key, lake=lake)
        served_home = open_home(set_to)
        server.serve(
            served_home.path,
            served_home.url,
            host=host,
            port=port,
            key=set_to.key,
            trust=set_to.trust,
            processes=processes or default_processes(),
            product=product_name(folder) if folder else None,
            lake=served_home.elsewhere,
            online=served_home.views_url,
            certificate=certificate(tls_certificate, tls_key),
        )
