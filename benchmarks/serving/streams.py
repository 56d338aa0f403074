"""``python -m benchmarks.serving.streams``: rows a second by ``/predict/batch``, as JSON lists, lines and Arrow, in turns, by one process."""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from benchmarks.serving.__main__ import KEY, megabytes, processor_s, running
from benchmarks.serving.model import COMPILED, LOOKED_UP, PIPELINE, asked as asked_of, make_home, trips
from caudal.web.streams import ARROW, NDJSON

JSON = "application/json"
ROWS_OF_BATCH = 1000
Send = Callable[[int, str, list[dict[str, object]], int], int]


def by_lists(port: int, path: str, rows: list[dict[str, object]], times: int) -> int:
    """Send the rows as lists of 1,000, one after another on one connection, and return the number of predictions."""
    bodies = [json.dumps(rows[at : at + ROWS_OF_BATCH]).encode() for at in range(0, len(rows), ROWS_OF_BATCH)]
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    answered = 0
    for _ in range(times):
        for body in bodies:
            client.request("POST", path, body, {"Content-Type": JSON, "X-API-Key": KEY})
            answered += client.getresponse().read().count(b'"prediction":')
    client.close()
    return answered


def by_lines(port: int, path: str, rows: list[dict[str, object]], times: int) -> int:
    """Send the rows as lines in one request, and return the number of predictions."""
    part = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return streamed(port, path, NDJSON, [part] * times).count(b'"prediction":')


def by_arrow(port: int, path: str, rows: list[dict[str, object]], times: int) -> int:
    """Send the rows as record batches of 1,000 in one request, and return the number of predictions."""
    sink = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for _ in range(times):
            writer.write_table(table, max_chunksize=ROWS_OF_BATCH)
    answers = pa.ipc.open_stream(streamed(port, path, ARROW, [sink.getvalue()])).read_all()
    return len(answers) - int(answers["prediction"].null_count)


def streamed(port: int, path: str, type_: str, parts: list[bytes]) -> bytes:
    """Send parts in one request while its answer is read, and return it."""
    connection = socket.create_connection(("127.0.0.1", port))
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {type_}\r\nX-API-Key: {KEY}\r\nContent-Length: {sum(map(len, parts))}\r\n\r\n"
    connection.sendall(head.encode())
    sender = threading.Thread(target=lambda: [connection.sendall(part) for part in parts])
    sender.start()
    response = http.client.HTTPResponse(connection)
    response.begin()
    content = response.read()
    sender.join()
    connection.close()
    return content


FORMS: dict[str, Callable[[int, str, list[dict[str, object]], int], int]] = {
    "JSON, lists of 1,000": by_lists, "NDJSON": by_lines, "Arrow": by_arrow,
}  # fmt: skip


def main() -> None:
    """Print a line of JSON for each server and form of each round, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", nargs="*", default=[COMPILED, LOOKED_UP, PIPELINE])
    parser.add_argument("--home", type=Path, help="folder for the models, which are made where it is empty")
    asked = parser.parse_args()
    rounds: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.home or Path(temporary)
        if not (folder / "row.json").exists():
            make_home(folder)
        frame = trips().iloc[:10_000]
        every = [{name: None if value != value else value for name, value in row.items()} for row in frame.to_dict("records")]
        for number in range(asked.rounds):
            for server in asked.servers:
                rows = [asked_of(row) for row in every] if server == LOOKED_UP else every
                path = f"/api/v1/bench/{server}/predict"
                with running(server, folder, json.dumps(rows[0]).encode(), path, 1) as (port, pid, _):
                    for form, send in FORMS.items():
                        send(port, f"{path}/batch", rows[:2000], 1)  # the pipeline, and Arrow, are loaded by now
                        used, began = processor_s(pid), time.perf_counter()
                        answered = send(port, f"{path}/batch", rows, asked.rows // len(rows))
                        took = time.perf_counter() - began
                        if answered != asked.rows // len(rows) * len(rows):
                            raise SystemExit(f"{answered} predictions by {form}")
                        figures = {
                            "rows_per_second": answered / took, "processor_us": (processor_s(pid) - used) / answered * 1e6, "MB": megabytes(pid),
                            "machine_load": os.getloadavg()[0],
                        }  # fmt: skip
                        rounds.setdefault((server, form), []).append(figures)
                        print(json.dumps({"round": number, "server": server, "form": form, **_rounded(figures)}), flush=True)
    for (server, form), of_form in rounds.items():
        medians = {key: statistics.median(figures[key] for figures in of_form) for key in of_form[0]}
        print(json.dumps({"median of": server, "form": form, **_rounded(medians)}), flush=True)


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in figures.items()}


if __name__ == "__main__":
    main()
