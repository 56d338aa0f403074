"""The command line: flags in, one call, a display or one JSON document out."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from caudal.errors import CaudalError
from caudal.spec.settings import Settings, settings

app = typer.Typer(
    name="caudal",
    help="From raw data to a governed, served and watched model: a data product declared once, in Python.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
quarantine_app = typer.Typer(help="Rows that broke an expectation: list, show, replay.", no_args_is_help=True)
model_app = typer.Typer(help="Model versions and decisions: list, show, promote, rollback, history.", no_args_is_help=True)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(model_app, name="model")

Folder = Annotated[Path, typer.Argument(help="The product's folder (holding product.py).", show_default=False)]
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of lake, ledger, models and run pages.  [default: .caudal]")
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder that the sources' file patterns are looked up in.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else.")]
ProductOption = Annotated[str | None, typer.Option("--product", help="The product's name; needed when the home holds several.")]
WaitOption = Annotated[float, typer.Option("--wait", help="Seconds to wait for another run of the product to end.")]


@app.command()
def demo(data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False,
         serve: Annotated[bool, typer.Option(help="Leave the web app running at the end (on a terminal).")] = True,
         port: Annotated[int, typer.Option(help="Port of the web app; 0 takes a free one.")] = 0,
         simulate: Annotated[bool, typer.Option("--simulate", help="Use simulated trips at once, without asking the network.")] = False) -> None:  # fmt: skip
    """Run the taxi product from raw trips to a served prediction."""
    from caudal.run.demo import demo as work

    with _problems(as_json):
        work(
            _settings(home=home or Path(os.environ.get("CAUDAL_HOME", ".caudal-demo")), data=data),
            as_json=as_json,
            keep=serve,
            port=port,
            simulate=simulate,
        )


@app.command()
def new(name: Annotated[str, typer.Argument(help="Name of the product.")],
        into: Annotated[Path, typer.Option("--into", help="Folder to make it in.")] = Path(), as_json: JsonOption = False) -> None:  # fmt: skip
    """Make a product's folder: a sample that runs, its data, its tests and a README."""
    from caudal.run.new import create

    with _problems(as_json):
        made = create(name, into)
        _say(as_json, {"product": name, "folder": str(made)}, f"Made {made}. Next:\n\n  caudal run {made}\n")


@app.command()
def check(folder: Folder, home: HomeOption = None, as_json: JsonOption = False,
          static: Annotated[bool, typer.Option("--static", help="Read the declaration only; do not let Spark analyse it.")] = False) -> None:  # fmt: skip
    """Find what is wrong with a declaration. Reads no data."""
    from caudal.run.check import check as work

    with _problems(as_json):
        problems = work(folder, _settings(home=home), static=static)
        if not problems:
            return _say(as_json, {"ok": True, "problems": []}, f"{folder}: nothing wrong.")
        _say(
            as_json,
            {"ok": False, "problems": [one.as_dict() for one in problems]},
            "\n".join(f"✗ {one.sentence()}" for one in problems),
        )
        raise typer.Exit(2)


@app.command()
def graph(folder: Folder, svg: Annotated[Path | None, typer.Option("--svg", help="Write the drawing into this file.")] = None,
          as_json: JsonOption = False) -> None:  # fmt: skip
    """Draw a product's graph, as text or as SVG."""
    from caudal.graph.build import build
    from caudal.graph.draw import as_svg, as_text
    from caudal.graph.load import load

    with _problems(as_json):
        drawn = build(load(folder))
        if svg:
            svg.write_text(as_svg(drawn))
        nodes = [
            {"name": one.name, "kind": one.kind, "inputs": list(one.inputs), "description": one.description}
            for one in drawn.nodes.values()
        ]
        _say(as_json, {"nodes": nodes, "svg": str(svg) if svg else None}, f"Wrote {svg}." if svg else as_text(drawn))


@app.command()
def run(folder: Folder, data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False, wait: WaitOption = 0.0,
        only: Annotated[Literal["all", "train", "predict"], typer.Option("--only", help="One of the product's two pipelines.")] = "all") -> None:  # fmt: skip
    """Bring a product up to date: land, check, build, train, promote, predict. What is up to date is skipped."""
    from caudal.run.run import run as work

    with _problems(as_json):
        with _progress(as_json) as progress:
            result = work(folder, _settings(home=home, data=data), pipeline=only, progress=progress, wait_s=wait)
        _ended(as_json, result)


@app.command()
def predict(
    folder: Folder, data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False, wait: WaitOption = 0.0
) -> None:
    """Write predictions by the published champion; trains nothing."""
    run(folder, data, home, as_json, wait, "predict")


@app.command()
def status(folder: Annotated[Path | None, typer.Argument(help="The product's folder; all products of the home when left out.")] = None,
           home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show products, last runs, tables and champions."""
    from caudal.run.status import status as work

    with _problems(as_json):
        told = work(_settings(home=home), folder)
        if as_json:
            return _print_json(told)
        from caudal.report.terminal import status as show

        show(told)
    return None


@app.command()
def serve(folder: Annotated[Path | None, typer.Argument(help="The product's folder; every product of the home when left out.")] = None,
          home: HomeOption = None, host: Annotated[str, typer.Option(help="Address to listen on; any but loopback demands a key.")] = "127.0.0.1",
          port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
          key: Annotated[str | None, typer.Option(help="Key that callers must give.  [env: CAUDAL_KEY]")] = None) -> None:  # fmt: skip
    """Serve the champions: a form, a JSON API with OpenAPI, health, and each model's card."""
    from caudal.run.status import product_name
    from caudal.serve.server import serve as work

    with _problems(False):
        set_to = _settings(home=home, key=key)
        place = _home(set_to)
        work(
            place.path,
            place.url,
            host=host,
            port=port,
            key=set_to.key,
            trust=set_to.trust,
            product=product_name(folder) if folder else None,
        )


@app.command()
def stream(folder: Folder, data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False,
           seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.  [default: at Ctrl-C]")] = None,
           once: Annotated[bool, typer.Option("--once", help="Stop when all that is there has been read.")] = False,
           end: Annotated[bool, typer.Option("--end", help="Close the windows that are open at the end: nothing more will come.")] = False,
           every: Annotated[float, typer.Option(help="Seconds from one micro-batch to the next.")] = 0.1,
           publish: Annotated[float, typer.Option(help="Seconds from one version of a table to the next.")] = 5.0,
           platform: Annotated[Literal["here", "spark"], typer.Option(help="Who computes: this process, or Spark's tasks.")] = "here") -> None:  # fmt: skip
    """Run a product's streams: statistics and capture as the samples come. Ctrl-C stops it; the same command goes on from there."""
    from caudal.report.terminal import streams
    from caudal.run.stream.stream import stream as work

    with _problems(as_json):
        told = work(
            folder,
            _settings(home=home, data=data),
            seconds=seconds,
            once=once,
            end=end,
            every_s=every,
            publish_s=publish,
            platform=platform,
        )
        _say(as_json, told, streams(told))


@app.command()
def parity(folder: Folder, data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Compare what the streams have published with a run over the captured samples: row for row."""
    from caudal.report.terminal import parity as show
    from caudal.run.parity import parity as work

    with _problems(as_json):
        told = work(folder, _settings(home=home, data=data))
        _say(as_json, told, show(told))
        if not told["equal"]:
            raise typer.Exit(1)


@app.command()
def broker(folder: Annotated[Path | None, typer.Option("--folder", help="Where its topics lie.  [default: HOME/kafka]")] = None,
           port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 9092,
           heap: Annotated[str, typer.Option(help="Memory of its Java process.")] = "512m", home: HomeOption = None,
           as_json: JsonOption = False) -> None:  # fmt: skip
    """Run a real Kafka broker on this machine, for this machine only, until Ctrl-C."""
    from caudal.spark.broker import Broker

    with _problems(as_json), Broker(folder or _settings(home=home).home / "kafka", port, heap) as running:
        told = {"address": running.address, "folder": str(running.folder), "pid": running.pid, "log": str(running.log)}
        with contextlib.suppress(KeyboardInterrupt):
            _say(as_json, told, f"Kafka answers at {running.address}; its topics lie in {running.folder}. Ctrl-C ends it.")
            sys.stdout.flush()
            running.wait()


@app.command()
def replay(what: Annotated[str, typer.Argument(help="A simulator (eeg, weather, robot, stocks, traffic), 'recording', or a product's folder: its stream source is fed.")],
           into: Annotated[Literal["log", "kafka", "folder", "socket"] | None, typer.Option("--into", help="Where to.  [default: the product's own, else log]")] = None,
           to: Annotated[str | None, typer.Option("--to", help="Folder, topic, or HOST:PORT to listen on.  [default: by name]")] = None,
           rate: Annotated[float, typer.Option(help="Readings a second; 0: as fast as it goes.  [default: that of one device]")] = -1.0,
           seconds: Annotated[float, typer.Option(help="Seconds of event time to play.")] = 60.0,
           speed: Annotated[float, typer.Option(help="Seconds of event time in a second.")] = 1.0,
           devices: Annotated[int | None, typer.Option(help="Devices that play the same.  [default: as many as the rate takes]")] = None,
           wire: Annotated[Literal["packed", "json", "avro"] | None, typer.Option(help="How messages are written.  [default: the product's, else packed]")] = None,
           labels: Annotated[bool, typer.Option("--labels", help="Send labels too, late as they are, to a stream of their own.")] = False,
           source: Annotated[str | None, typer.Option("--source", help="Which stream source of the product.")] = None,
           seed: Annotated[int, typer.Option(help="Of the simulator.")] = 0,
           data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Play a simulator or a recording into a stream, at a chosen rate. Ctrl-C stops it."""
    from caudal.run.replay import command

    with _problems(as_json):
        told = command(
            what,
            _settings(home=home, data=data),
            into=into,
            to=to,
            rate=rate,
            seconds=seconds,
            speed=speed,
            devices=devices,
            wire=wire,
            labels=labels,
            source_name=source,
            seed=seed,
            say=(lambda _: None) if as_json else (lambda line: print(line, flush=True)),
        )
        _say(
            as_json,
            told,
            f"{told['readings']:,} readings in {told['seconds']:,} s: {told['readings_per_s']:,} a second, "
            f"at most {told['most_behind_s']} s behind. {'Stopped.' if told['stopped'] else ''}".rstrip(),
        )


@app.command()
def console(home: HomeOption = None, host: Annotated[str, typer.Option(help="Address to listen on; any but loopback demands a key.")] = "127.0.0.1",
            port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8001,
            key: Annotated[str | None, typer.Option(help="Key that visitors must give.  [env: CAUDAL_KEY]")] = None) -> None:  # fmt: skip
    """Show the streams of a home as they run: signals, statistics, anomalies, classes, throughput and latency."""
    from caudal.serve.console import console as work

    with _problems(False):
        set_to = _settings(home=home, key=key)
        work(set_to.home, host=host, port=port, key=set_to.key)


@app.command()
def export(table: Annotated[str, typer.Argument(help="The table.")], to: Annotated[Path, typer.Argument(help="File or folder to write.")],
           format: Annotated[Literal["parquet", "avro", "csv"] | None, typer.Option("--format", help="Told by the ending of TO when left out.")] = None,
           version: Annotated[int | None, typer.Option("--version", help="An older version of the table.")] = None,
           run_id: Annotated[str | None, typer.Option("--run", help="The table as that run left it.")] = None,
           product: ProductOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Write a table as Parquet, Avro or CSV, as it is now or as an earlier run left it."""
    from caudal.run.export import export as work

    with _problems(as_json):
        told = work(_settings(home=home), table, to, format=format, version=version, run_id=run_id, product=product)
        _say(as_json, told, f"Wrote {told['rows']:,} rows of {table} (version {told['version']}) to {told['to']}.")


@quarantine_app.command("list")
def quarantine_list(product: ProductOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List quarantined rows by table and reason."""
    from caudal.run.quarantine import listing

    with _problems(as_json):
        rows = listing(_settings(home=home), product)
        _table(as_json, rows, ("product", "table", "reason", "rows"), "Nothing is in quarantine.")


@quarantine_app.command("show")
def quarantine_show(table: Annotated[str, typer.Argument(help="The table.")], reason: Annotated[str | None, typer.Option(help="Part of the reason.")] = None,
                    limit: Annotated[int, typer.Option(help="Rows to show.")] = 20, product: ProductOption = None, home: HomeOption = None,
                    as_json: JsonOption = False) -> None:  # fmt: skip
    """Show quarantined rows: reasons, source file, raw values."""
    from caudal.run.quarantine import show

    with _problems(as_json):
        rows = show(_settings(home=home), table, reason=reason, limit=limit, product=product)
        _table(as_json, rows, ("reasons", "file", "raw"), f"Nothing of '{table}' is in quarantine.")


@quarantine_app.command("replay")
def quarantine_replay(folder: Folder, table: Annotated[str, typer.Argument(help="The table.")],
                      set_to: Annotated[list[str] | None, typer.Option("--set", help="A correction: column = SQL expression. May be given more than once.")] = None,
                      reason: Annotated[str | None, typer.Option(help="Only rows with this in their reason.")] = None,
                      where: Annotated[str | None, typer.Option(help="Only rows for which this SQL condition holds.")] = None,
                      data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Judge quarantined rows again, as they are (after a change of rules) or with corrections; then bring the product up to date."""
    from caudal.run.quarantine import replay

    with _problems(as_json):
        with _progress(as_json) as progress:
            result = replay(
                folder, _settings(home=home, data=data), table, set_to or [], reason=reason, where=where, progress=progress
            )
        _ended(as_json, result)


@model_app.command("list")
def model_list(product: ProductOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List models and their versions."""
    from caudal.run.models import listing

    with _problems(as_json):
        _table(
            as_json,
            listing(_settings(home=home), product),
            ("product", "model", "version", "candidate", "metric", "score", "spread", "state", "created"),
            "No model yet.",
        )


@model_app.command("show")
def model_show(model: Annotated[str, typer.Argument(help="The model.")], version: Annotated[int | None, typer.Option(help="The champion when left out.")] = None,
               product: ProductOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Show a model version's card: data, code, parameters, metrics, gates, decision, environment."""
    from caudal.run.models import card

    with _problems(as_json):
        told = card(_settings(home=home), model, version, product)
        if as_json:
            return _print_json(told)
        from caudal.report.terminal import card as show

        show(told)
    return None


@model_app.command("promote")
def model_promote(model: Annotated[str, typer.Argument(help="The model.")], version: Annotated[int, typer.Argument(help="The version.")],
                  reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "by hand", product: ProductOption = None,
                  home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Put a version into production by hand, whatever its gates said; the decision is kept."""
    from caudal.run.models import promote

    with _problems(as_json):
        told = promote(_settings(home=home), model, version, reason, product)
        _say(
            as_json,
            told,
            f"{model} version {told['version']} is in production"
            + (f", instead of {told['replaced']}." if told["replaced"] else "."),
        )


@model_app.command("rollback")
def model_rollback(model: Annotated[str, typer.Argument(help="The model.")], to: Annotated[int | None, typer.Option("--to", help="The champion before, when left out.")] = None,
                   reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "rolled back by hand", product: ProductOption = None,
                   home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Bring an earlier champion back."""
    from caudal.run.models import rollback

    with _problems(as_json):
        told = rollback(_settings(home=home), model, to, reason, product)
        _say(as_json, told, f"{model} version {told['version']} is in production again, instead of {told['replaced']}.")


@model_app.command("history")
def model_history(model: Annotated[str, typer.Argument(help="The model.")], product: ProductOption = None, home: HomeOption = None,
                  as_json: JsonOption = False) -> None:  # fmt: skip
    """Show every decision on a model: what, who, when, why, what it replaced."""
    from caudal.run.models import history

    with _problems(as_json):
        _table(
            as_json,
            history(_settings(home=home), model, product),
            ("at", "decision", "version", "replaced", "who", "reason", "gates"),
            "No decision yet.",
        )


def main() -> None:
    """Run the command line."""
    app()


def _settings(**flags: Any) -> Settings:
    return settings(**flags)


def _home(set_to: Settings) -> Any:
    from caudal.run.run import opened

    return opened(set_to)


@contextlib.contextmanager
def _problems(as_json: bool) -> Iterator[None]:
    """Show errors as sentences (or as JSON) and leave with their exit code; a stack trace of ours is never shown."""
    try:
        yield
    except CaudalError as error:
        _show_problem(error, as_json)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; nothing half done is left. Run the same command to go on.\n")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except (typer.Exit, typer.Abort, SystemExit):
        raise
    except Exception as error:
        if os.environ.get("CAUDAL_TRACE"):
            raise
        _show_problem(
            CaudalError(
                f"caudal itself failed: {type(error).__name__}: {error}.", fix="Set CAUDAL_TRACE=1 to see where, and report it."
            ),
            as_json,
        )
        raise typer.Exit(70) from None


def _show_problem(error: CaudalError, as_json: bool) -> None:
    if as_json:
        _print_json(error.as_dict())
    sys.stderr.write(f"✗ {error.sentence()}\n")


@contextlib.contextmanager
def _progress(as_json: bool) -> Iterator[Any]:
    if as_json:
        from caudal.run.workspace import Quiet

        yield Quiet()
        return
    from caudal.report.terminal import Progress

    with Progress() as progress:
        yield progress


def _ended(as_json: bool, result: Any) -> None:
    """Show how a run ended and leave with its exit code."""
    if as_json:
        _print_json(result.document)
    else:
        from caudal.report.terminal import summary

        summary(result.document)
    if result.error is not None:
        sys.stderr.write(f"✗ {result.error.sentence()}\n")
        raise typer.Exit(result.error.exit_code)


def _say(as_json: bool, document: dict[str, Any], sentence: str) -> None:
    if as_json:
        _print_json(document)
    else:
        print(sentence)


def _table(as_json: bool, rows: list[dict[str, Any]], columns: tuple[str, ...], nothing: str) -> None:
    if as_json:
        return _print_json(rows)
    if not rows:
        return print(nothing)
    from caudal.report.terminal import table

    table(rows, columns)
    return None


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, default=str, ensure_ascii=False))
