"""Streams of rows: what is answered is what the JSON batch answers, and what cannot be read is told in one sentence."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from caudal.serve import row_streams
from caudal.serve.arrow_rows import MOST_BATCH_BYTES
from caudal.web.streams import ARROW, NDJSON

BATCH = "/api/v1/taxi/{}/predict/batch"

SCHEMA = pa.schema(
    [
        ("trip_distance_mi", pa.float64()), ("hour", pa.int64()), ("passengers", pa.int64()), ("borough", pa.string()),
        ("zone", pa.dictionary(pa.int32(), pa.string())), ("weekend", pa.bool_()), ("mean_speed_past", pa.float32()),
    ]
)  # fmt: skip


def arrow_of(rows: list[dict[str, Any]], schema: pa.Schema = SCHEMA, chunk: int = 3, options: Any = None) -> bytes:
    """Return rows as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for start in range(0, len(rows), chunk):
            writer.write_batch(pa.RecordBatch.from_pylist(rows[start : start + chunk], schema))
    return sink.getvalue()


def lines_of(rows: list[object]) -> bytes:
    """Return documents as lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def answered(content: bytes) -> list[dict[str, Any]]:
    """Return the documents of lines."""
    assert content == b"" or content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def table_of(content: bytes) -> list[dict[str, Any]]:
    """Return the rows of an Arrow stream that has its end."""
    assert content.endswith(b"\xff\xff\xff\xff\0\0\0\0")
    rows: list[dict[str, Any]] = pa.ipc.open_stream(content).read_all().to_pylist()
    return rows


def post(client: Any, content: bytes, type_: str = NDJSON, accept: str | None = None, model: str = "duration") -> Any:
    headers = {} if accept is None else {"Accept": accept}
    return client.post(BATCH.format(model), data=content, content_type=type_, headers=headers, buffered=True)


@pytest.fixture
def client(served: Any) -> Any:
    return served.app().test_client()


scalars = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=5)
changes = st.dictionaries(
    st.sampled_from(["trip_distance_mi", "hour", "passengers", "borough", "zone", "weekend", "mean_speed_past", "more"]), scalars, max_size=2,
)  # fmt: skip
good_changes = st.fixed_dictionaries(
    {},
    optional={
        "trip_distance_mi": st.floats(0, 100),
        "hour": st.integers(0, 23),
        "passengers": st.none() | st.integers(0, 9),
        "borough": st.sampled_from(["Bronx", "Queens"]),
        "mean_speed_past": st.none() | st.floats(0, 90, width=32),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_lines_are_answered_as_the_rows_of_a_batch(client: Any, example: dict[str, Any], data: st.DataObject) -> None:
    rows: list[object] = data.draw(
        st.lists((changes | good_changes).map(lambda change: {**example, **change}) | scalars, min_size=1, max_size=6)
    )
    model = data.draw(st.sampled_from(["duration", "payment"]))
    batch = client.post(BATCH.format(model), json=rows).json
    chunk = data.draw(st.sampled_from([2, 1000])) if model == "duration" else 1000  # a product of matrices has other bits in parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("caudal.serve.ndjson.CHUNK_ROWS", chunk)
        stream = post(client, lines_of(rows), model=model)
    assert stream.status_code == 200
    lines = answered(stream.data)
    assert [line if "prediction" in line else None for line in lines] == batch["predictions"]
    assert [error for line in lines for error in line.get("errors", [])] == batch.get("errors", [])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_arrow_is_answered_as_the_rows_of_a_batch(client: Any, example: dict[str, Any], data: st.DataObject) -> None:
    changed = (
        st.fixed_dictionaries({}, optional={"hour": st.integers(-2, 30), "zone": st.sampled_from(["Zone 001", "nowhere"])})
        | good_changes
    )
    rows = data.draw(st.lists(changed.map(lambda change: {**example, **change}), min_size=1, max_size=8))
    model = data.draw(st.sampled_from(["duration", "payment"]))
    chunk = data.draw(st.sampled_from([1, 3, 100])) if model == "duration" else 100
    batch = client.post(BATCH.format(model), json=rows).json
    stream = post(client, arrow_of(rows, chunk=chunk), ARROW, model=model)
    assert (stream.status_code, stream.content_type) == (200, ARROW)
    table = table_of(stream.data)
    for row, prediction in zip(table, batch["predictions"], strict=True):
        assert row["prediction"] == (None if prediction is None else prediction["prediction"])
        assert (row["problem"] is None) == (prediction is not None)
        for label, share in (prediction or {}).get("probabilities", {}).items():
            assert row[f"probability_{label}"] == share
    as_lines = answered(post(client, arrow_of(rows, chunk=chunk), ARROW, accept=NDJSON, model=model).data)
    assert [line if "prediction" in line else None for line in as_lines] == batch["predictions"]
    assert table_of(post(client, lines_of(rows), accept=ARROW, model=model).data) == table


def test_the_columns_of_an_answer(client: Any, example: dict[str, Any]) -> None:
    for model, first in (("duration", [("prediction", "double")]), ("payment", [("prediction", "string"), ("probability_card", "double"), ("probability_cash", "double")])):  # fmt: skip
        schema = pa.ipc.open_stream(post(client, arrow_of([example]), ARROW, model=model).data).schema
        assert [(field.name, str(field.type)) for field in schema] == [*first, ("version", "int32"), ("problem", "string")]
    assert table_of(post(client, arrow_of([]), ARROW).data) == []
    assert table_of(post(client, b"", accept=ARROW).data) == []


def test_bad_rows_have_a_problem_in_their_place(client: Any, example: dict[str, Any]) -> None:
    content = (
        lines_of([example])
        + b"{no json}\n\n  \r\n[1]\n"
        + b'{"zone": "'
        + b"x" * row_streams.MOST_ROW_BYTES
        + b'"}\n\xff\n'
        + json.dumps(example).encode()
    )
    lines = answered(post(client, content).data)
    assert ["prediction" in line for line in lines] == [True, False, False, False, False, True]
    assert [error["problem"] for line in lines[1:5] for error in line["errors"]] == [
        "The line is not JSON.", "The row is not a JSON object.", "The line is too long.", "The line is not JSON.",
    ]  # fmt: skip
    assert [line["errors"][0]["row"] for line in lines[1:5]] == [1, 2, 3, 4]
    table = table_of(post(client, content, accept=ARROW).data)
    assert table[1]["problem"] == "The line is not JSON. Allowed: one JSON object a line, in UTF-8."


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_parts_of_any_size_give_the_same_lines(example: dict[str, Any], size: int) -> None:
    from caudal.serve.ndjson import NdjsonRows

    content = lines_of([{**example, "hour": hour} for hour in range(5)]) + b"x" * 20 + b"\n{}"
    reader = NdjsonRows()
    rows = [row for at in range(0, len(content), size) for chunk in reader.feed(content[at : at + size]) for row in chunk]
    rows += [row for chunk in reader.finish() for row in chunk]
    assert [row["hour"] if isinstance(row, dict) and row else None for row in rows] == [0, 1, 2, 3, 4, None, None]


def changed_schema(name: str, type_: pa.DataType | None) -> pa.Schema:
    fields = {field.name: field.type for field in SCHEMA}
    fields.pop(name, None)
    return pa.schema([*fields.items(), *([] if type_ is None else [(name, type_)])])


@pytest.mark.parametrize(
    ("schema", "field", "problem"),
    [
        (changed_schema("hour", None), "hour", "The column is missing."),
        (changed_schema("hour", pa.string()), "hour", "The column has another type."),
        (changed_schema("weekend", pa.int8()), "weekend", "The column has another type."),
        (changed_schema("borough", pa.list_(pa.string())), "borough", "The column has another type."),
        (changed_schema("hours", pa.int64()), "hours", "The model has no such input."),
        (pa.schema([*SCHEMA, SCHEMA[0]]), "trip_distance_mi", "There are two columns of this name."),
    ],
)  # fmt: skip
def test_columns_that_are_not_the_models(client: Any, schema: pa.Schema, field: str, problem: str) -> None:
    answer = post(client, arrow_of([], schema), ARROW)
    assert answer.status_code == 422
    assert [(error["field"], error["problem"]) for error in answer.json["errors"]] == [(field, problem)]


def test_columns_that_may_be_left_out_and_other_widths(client: Any, example: dict[str, Any]) -> None:
    schema = pa.schema(
        [
            ("trip_distance_mi", pa.float16()), ("hour", pa.uint8()), ("borough", pa.large_string()), ("zone", pa.string()), ("weekend", pa.bool_()),
            ("passengers", pa.float64()),
        ]
    )  # fmt: skip
    row = {name: value for name, value in example.items() if name in schema.names}
    rows = [row, {**row, "passengers": None}, {**row, "passengers": 1.5}, {**row, "trip_distance_mi": float("nan")}]
    table = table_of(
        post(
            client, arrow_of([{**row, "passengers": row["passengers"] and float(row["passengers"])} for row in rows], schema), ARROW
        ).data
    )
    assert table[0]["prediction"] == client.post(BATCH.format("duration"), json=[row]).json["predictions"][0]["prediction"]
    assert [row["problem"] is None for row in table] == [True, True, False, False]


def compressed(codec: str) -> Any:
    return pa.ipc.IpcWriteOptions(compression=codec)


def test_arrow_that_cannot_be_read(client: Any, example: dict[str, Any]) -> None:
    whole = arrow_of([example] * 9)
    for content in (b"", b"{}", b"x" * 4000, whole[:100], lines_of([example])):
        answer = post(client, content, ARROW)
        assert (answer.status_code, answer.json["what"]) == (400, "The body is not an Arrow stream."), content[:20]
    table = table_of(post(client, whole[:-20], ARROW).data)
    assert [row["problem"] for row in table][-1] == "The Arrow stream breaks off."
    assert [row["version"] for row in table] == [2] * (len(table) - 1) + [None]
    table = table_of(post(client, whole + whole, ARROW).data)
    assert table[9]["problem"] == "Something follows the end of the Arrow stream."
    refused = post(client, arrow_of([example] * 9, options=compressed("zstd")), ARROW)
    assert (refused.status_code, refused.json["what"]) == (
        400,
        "A record batch of the Arrow stream is compressed: write it without compression.",
    )
    rows = [{**example, "borough": "x" * 2**20}] * (MOST_BATCH_BYTES // 2**20 + 1)
    refused = post(client, arrow_of(rows, chunk=100), ARROW)
    assert refused.status_code == 400
    assert "larger than" in refused.json["what"]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_arrow_is_refused_and_no_fault(client: Any, example: dict[str, Any], data: st.DataObject) -> None:
    content = bytearray(arrow_of([example] * 5))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    answer = post(client, bytes(content), ARROW, accept=NDJSON)
    assert answer.status_code in (200, 400, 422)
    if answer.status_code == 200:
        assert not any(line.get("error") == "Fault" for line in answered(answer.data))


@pytest.mark.parametrize(
    ("type_", "accept", "status", "given"),
    [
        (NDJSON, None, 200, NDJSON), (NDJSON, "*/*", 200, NDJSON), (NDJSON, f"{ARROW}, */*;q=0.1", 200, ARROW), (NDJSON, "application/*", 200, NDJSON),
        (ARROW, None, 200, ARROW), (ARROW, "*/*", 200, ARROW), (ARROW, NDJSON, 200, NDJSON), (ARROW, "application/json", 406, "application/json"),
        (NDJSON, "text/html", 406, "application/json"), (f"{NDJSON}; charset=utf-8", None, 200, NDJSON), (f"{NDJSON}; charset=latin-1", None, 415, "application/json"),
        ("text/csv", None, 415, "application/json"),
    ],
)  # fmt: skip
def test_types_of_rows_and_answers(
    client: Any, example: dict[str, Any], type_: str, accept: str | None, status: int, given: str
) -> None:
    content = arrow_of([example]) if type_ == ARROW else lines_of([example])
    answer = post(client, content, type_, accept)
    assert (answer.status_code, answer.content_type) == (status, given)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_compressed_body_is_refused(client: Any, example: dict[str, Any]) -> None:
    answer = client.post(
        BATCH.format("duration"), data=lines_of([example]), content_type=NDJSON, headers={"Content-Encoding": "gzip"}
    )
    assert answer.status_code == 415


def test_rows_are_counted_with_their_request(served: Any, example: dict[str, Any]) -> None:
    app = served.app()
    client = app.test_client()
    post(client, lines_of([example, {**example, "mean_speed_past": 300.0}, 1]))
    post(client, arrow_of([example] * 4), ARROW)
    text = client.get("/metrics").text
    route = 'route="/api/v1/<product>/<model>/predict/batch"'
    assert f'caudal_requests_total{{{route},status="200"}} 2.0' in text
    assert f"caudal_request_seconds_count{{{route}}} 2.0" in text
    assert 'caudal_input_rows_total{model="duration",product="taxi"} 6.0' in text
    assert 'input="mean_speed_past",kind="range",model="duration",product="taxi"} 1.0' in text


class _Broken:
    """A model that predicts its example when it is loaded, and nothing later."""

    def __init__(self, loaded: Any) -> None:
        self._loaded, self.calls = loaded, 0
        self.version, self.candidate, self.signature = loaded.version, loaded.candidate, loaded.signature

    def predict_rows(self, rows: Any) -> Any:
        self.calls += 1
        if self.calls > 2:
            raise RuntimeError("no more")
        return self._loaded.predict_rows(rows)


def test_a_model_that_fails_ends_the_answers_with_a_sentence(served: Any, example: dict[str, Any]) -> None:
    served.fitted["taxi", "duration", 2] = _Broken(served.fitted["taxi", "duration", 2])
    app = served.app()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("caudal.serve.ndjson.CHUNK_ROWS", 2)
        lines = answered(post(app.test_client(), lines_of([example] * 6)).data)
        assert ["prediction" in line for line in lines] == [True, True, False]
        assert (lines[2]["error"], lines[2]["what"]) == ("NoChampion", "Version 2 of 'taxi/duration' fails on its own example.")
        assert post(app.test_client(), lines_of([example] * 6)).status_code == 503
    assert 'predict/batch",status="503"} 2.0' in app.test_client().get("/metrics").text


def test_a_key_is_asked_for_before_the_rows(served: Any, example: dict[str, Any]) -> None:
    client = served.app(key="not-to-be-guessed").test_client()

    class Body(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("the body was read")

    answer = client.post(BATCH.format("duration"), input_stream=Body(b"{}"), content_type=NDJSON)
    assert answer.status_code == 401
    headers = {"X-API-Key": "not-to-be-guessed"}
    assert client.post(BATCH.format("duration"), data=lines_of([example]), content_type=NDJSON, headers=headers).status_code == 200
