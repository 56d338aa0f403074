"""The OpenAPI document is true: schemathesis tries what it promises, with all its default checks."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from caudal.web.streams import ARROW, NDJSON


@schemathesis.serializer(NDJSON)
def lines(_context: Any, value: Any) -> bytes:
    """Return a list as lines, anything else as one."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in (value if isinstance(value, list) else [value]))


@schemathesis.deserializer(NDJSON)
def documents(_context: Any, response: Any) -> list[Any]:
    """Return the documents of lines."""
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.serializer(ARROW)
def no_arrow(_context: Any, _value: Any) -> bytes:
    """Return nothing: it is not sent."""
    return b""


def document_of(app: Any) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/openapi.json", headers={"X-API-Key": "a-plain-key!"}).json
    return document


def test_the_document_is_openapi_3_1_and_names_each_input(served: Any, example: dict[str, Any]) -> None:
    document = document_of(served.app())
    assert document["openapi"].startswith("3.1")
    row = document["components"]["schemas"]["taxi-duration-Inputs"]
    assert list(row["properties"]) == list(example)
    assert row["required"] == ["trip_distance_mi", "hour", "borough", "zone", "weekend"]
    assert row["additionalProperties"] is False
    rows = document["components"]["schemas"]["taxi-duration-Rows"]
    assert rows["items"] == {"$ref": "#/components/schemas/taxi-duration-Inputs"}, "a batch has rows of its own model"
    assert row["properties"]["borough"]["enum"] == ["Bronx", "Brooklyn", "Manhattan", "Queens", "Staten Island"]
    assert row["examples"] == [example]
    batch = document["paths"]["/api/v1/taxi/duration/predict/batch"]["post"]
    for described in (batch["requestBody"], batch["responses"]["200"]):
        assert list(described["content"]) == ["application/json", NDJSON, ARROW]
    assert batch["requestBody"]["content"][NDJSON]["schema"]["items"] == rows["items"]
    assert "406" in batch["responses"]
    assert set(document["paths"]) == {
        "/health",
        "/ready",
        "/metrics",
        "/api/v1/models",
        *(
            f"/api/v1/taxi/{model}/{operation}"
            for model in ("duration", "payment")
            for operation in ("predict", "predict/batch", "card")
        ),
    }


def conforms(app: Any, examples: int, headers: dict[str, str] | None = None) -> int:
    schema = schemathesis.openapi.from_dict(document_of(app))
    schema.app = app
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        def attempt(case: Any) -> None:
            nonlocal tried
            if (
                case.media_type == ARROW
            ):  # a schema cannot say which bytes are an Arrow stream: tests/unit/serve/test_streamed_batch.py does
                return
            tried += 1
            # Each line is answered, also those that are no rows.
            excluded = [schemathesis.checks.negative_data_rejection] if case.media_type == NDJSON else []
            case.call_and_validate(headers=headers, excluded_checks=excluded)

        for mode in schemathesis.GenerationMode:
            if mode is schemathesis.GenerationMode.NEGATIVE and not operation.body:
                continue
            generated = operation.as_strategy(generation_mode=mode)
            run = settings(
                max_examples=examples,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            from hypothesis import given

            run(given(case=generated)(attempt))()
    return tried


def test_every_operation_keeps_its_promises(served: Any) -> None:
    assert conforms(served.app(refresh_s=5.0), 20) > 150


def test_every_operation_keeps_its_promises_behind_a_key(served: Any) -> None:
    assert conforms(served.app(refresh_s=5.0, key="a-plain-key!"), 3, {"X-API-Key": "a-plain-key!"}) > 20


@pytest.mark.slow
def test_every_operation_keeps_its_promises_at_length(served: Any) -> None:
    assert conforms(served.app(refresh_s=5.0), 120) > 800
