"""Commands on streams: run them, compare them with a run, feed them, show them in the console."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from caudal.cli.app import DataOption, Folder, HomeOption, JsonOption, LakeOption, app, exit_on_error, print_result
from caudal.cli.certificate import CertificateOption, TlsKeyOption, certificate
from caudal.declarations.settings import settings
from caudal.errors import printable


@app.command("stream")
def stream_command(folder: Folder, data: DataOption = None, home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False,
           seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.  [default: at Ctrl-C]")] = None,
           once: Annotated[bool, typer.Option("--once", help="Stop when all that is there has been read.")] = False,
           end: Annotated[bool, typer.Option("--end", help="Close the windows that are open at the end: nothing more will come.")] = False,
           every: Annotated[float, typer.Option(help="Seconds from one micro-batch to the next.")] = 0.1,
           publish: Annotated[float, typer.Option(help="Seconds from one version of a table to the next.")] = 5.0,
           monitor: Annotated[float, typer.Option(help="Seconds from one look of the monitors to the next.")] = 60.0,
           workers: Annotated[int | None, typer.Option(min=1, help="Processes that compute large micro-batches; 1: this one alone. With --on here.  [default: one a core, at most 4]")] = None,
           on: Annotated[Literal["here", "spark"], typer.Option("--on", "--platform", help="Who computes: this process, or a query of Spark Structured Streaming.")] = "here") -> None:  # fmt: skip
    """Run a product's streams: statistics and capture as the samples come, tables as the messages of topics come. Ctrl-C stops it; the same command goes on from there."""
    from caudal.batch.batch import run_training
    from caudal.batch.micro_batches import MicroBatches
    from caudal.batch.monitor_stream import stream_monitor
    from caudal.report.terminal import streams
    from caudal.streaming import stream

    with exit_on_error(as_json):
        given = settings(home=home, lake=lake, data=data, workers=workers)
        document = stream.run_streams(
            folder,
            given,
            train=run_training,
            watch=stream_monitor,
            rows=MicroBatches,
            seconds=seconds,
            once=once,
            end=end,
            every_s=every,
            publish_s=publish,
            monitor_s=monitor,
            on=on,
            workers=given.workers,
        )
        print_result(as_json, document, streams(document))


@app.command("parity")
def parity_command(
    folder: Folder, data: DataOption = None, home: HomeOption = None, lake: LakeOption = None, as_json: JsonOption = False
) -> None:
    """Compare what the streams have published with a run over the captured samples: row for row."""
    from caudal.commands import parity
    from caudal.report import terminal

    with exit_on_error(as_json):
        document = parity.check_parity(folder, settings(home=home, lake=lake, data=data))
        print_result(as_json, document, terminal.parity_text(document))
        if not document["equal"]:
            raise typer.Exit(1)


@app.command()
def broker(folder: Annotated[Path | None, typer.Option("--folder", help="Where its topics lie.  [default: HOME/kafka]")] = None,
           port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 9092,
           heap: Annotated[str, typer.Option(help="Memory of its Java process.")] = "512m", home: HomeOption = None,
           as_json: JsonOption = False) -> None:  # fmt: skip
    """Run a real Kafka broker on this machine, for this machine only, until Ctrl-C."""
    from caudal.messaging.broker import Broker

    with exit_on_error(as_json), Broker(folder or settings(home=home).home / "kafka", port, heap) as running:
        document = {"address": running.address, "folder": str(running.folder), "pid": running.pid, "log": str(running.log)}
        with contextlib.suppress(KeyboardInterrupt):
            print_result(
                as_json, document, f"Kafka answers at {running.address}; its topics lie in {running.folder}. Ctrl-C ends it."
            )
            sys.stdout.flush()
            running.wait()


@app.command("replay")
def replay_command(what: Annotated[str, typer.Argument(help="A simulator (eeg, weather, robot, stocks, traffic), 'recording', or a product's folder: its stream source is fed.")],
           into: Annotated[Literal["log", "kafka", "folder", "socket"] | None, typer.Option("--into", help="Where to.  [default: the product's own, else log]")] = None,
           to: Annotated[str | None, typer.Option("--to", help="Folder, topic, or HOST:PORT to listen on.  [default: by name]")] = None,
           rate: Annotated[float, typer.Option(help="Readings a second; 0: as fast as possible.  [default: that of one device]")] = -1.0,
           seconds: Annotated[float, typer.Option(help="Seconds of event time to play.")] = 60.0,
           speed: Annotated[float, typer.Option(help="Seconds of event time in a second.")] = 1.0,
           devices: Annotated[int | None, typer.Option(help="Devices that send the same signal.  [default: as many as the rate takes]")] = None,
           wire: Annotated[Literal["packed", "json", "avro"] | None, typer.Option(help="How messages are written.  [default: the product's, else packed]")] = None,
           labels: Annotated[bool, typer.Option("--labels", help="Also send labels, with their delay, to a separate stream.")] = False,
           source: Annotated[str | None, typer.Option("--source", help="Which stream source of the product.")] = None,
           seed: Annotated[int, typer.Option(help="Seed of the simulator.")] = 0,
           at: Annotated[str | None, typer.Option("--at", help="Event time of the first sample, such as 2026-01-05T08:00:00Z: the same samples each time.  [default: it ends now]")] = None,
           client_config: Annotated[Path | None, typer.Option("--client-config", help="Properties file of Kafka's client: how to log in.  [default: the options of the product's source]")] = None,
           data: DataOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:  # fmt: skip
    """Play a simulator or a recording into a stream, at a chosen rate. Ctrl-C stops it."""
    from caudal.commands.replay import run_replay

    with exit_on_error(as_json):
        document = run_replay(
            what,
            settings(home=home, data=data),
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
            at=at,
            client_config=client_config,
            say=(lambda _: None) if as_json else (lambda line: print(printable(line), flush=True)),
        )
        print_result(
            as_json,
            document,
            f"{document['readings']:,} readings in {document['seconds']:,} s: {document['readings_per_s']:,} a second, "
            f"at most {document['most_behind_s']} s behind. {'Stopped.' if document['stopped'] else ''}".rstrip(),
        )


@app.command("console")
def console_command(home: HomeOption = None, host: Annotated[str, typer.Option(help="Address to listen on; any but loopback demands a key.")] = "127.0.0.1",
            port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8001,
            key: Annotated[str | None, typer.Option(help="A key that visitors may give besides those of 'caudal key'.  [env: CAUDAL_KEY]")] = None,
            tls_certificate: CertificateOption = None, tls_key: TlsKeyOption = None) -> None:  # fmt: skip
    """Show the streams of a home as they run (signals, statistics, anomalies, classes, latency), and its runs."""
    with exit_on_error(False):
        from caudal import console

        set_to = settings(home=home, key=key)
        console.serve_console(
            set_to.home,
            ledger=set_to.ledger,
            host=host,
            port=port,
            key=set_to.key,
            certificate=certificate(tls_certificate, tls_key),
        )
