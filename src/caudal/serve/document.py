"""The OpenAPI 3.1 document: the operations of the server, and those of each champion by its current signature.

What answers them is in `api`, `operations` and `uploads`. This is imported when the document is asked for: its library takes a tenth of a server's start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.info import Info
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel

from caudal.serve.operations import MOST_ERRORS, MOST_ROWS
from caudal.serve.row_streams import MOST_ROW_ERRORS
from caudal.serve.schemas import (
    SECURITY,
    Card,
    Failure,
    Health,
    ImageBody,
    Models,
    PredictQuery,
    Problems,
    Readiness,
    RowProblems,
    answer_model,
    batch_models,
    image_answer_model,
    rows_model,
)
from caudal.serve.served import Served
from caudal.web.streams import ARROW, NDJSON

_SCHEMAS = "#/components/schemas/"
ARROW_ROWS = (
    "An Arrow stream with a column for each input: numbers as floating-point numbers or integers, booleans, text or dictionaries of it, times as timestamps or text. "
    "Columns that may be null or are found may be left out."
)
ARROW_ANSWERS = (
    "An Arrow stream of the columns `prediction` (float64, or the class as text), `probability_<class>` (float64), `version` (int32) and `problem` (text, null where "
    "nothing is wrong), a row for each row in their order; where not all were answered one more, whose `problem` says why."
)
SCHEMES: dict[str, Any] = {
    "bearer": SecurityScheme.model_validate({"type": "http", "scheme": "bearer", "description": "A key to the server."}),
    "header": SecurityScheme.model_validate({"type": "apiKey", "name": "X-API-Key", "in": "header"}),
}


def openapi_document(champions: Iterable[tuple[Served, bool]], *, key: bool) -> dict[str, object]:
    """Return the OpenAPI document of the server and of the champions that it serves now.

    Parameters
    ----------
    champions : each with whether it takes images
    key : whether a key is required
    """
    api_app = _described_server()
    schema = RowProblems.model_json_schema(ref_template=_SCHEMAS + "{model}")
    api_app.components_schemas |= {**schema.pop("$defs"), "RowProblems": schema}
    for served, images in champions:
        api_app.register_api(_described_model(served, images=images))
    openapi: dict[str, Any] = api_app.api_doc
    for path in openapi["paths"].values():
        for method, operation in path.items():
            if method == "get":
                operation["responses"].pop("422", None)  # the library adds it to all operations; these take no input
            if not key:
                operation.pop("security", None)
                for status in ("401", "403"):
                    operation["responses"].pop(status, None)
        if "post" in path:
            _describe_streams(path["post"])
    if not key:
        openapi.get("components", {}).pop("securitySchemes", None)
    return openapi


def _described_server() -> OpenAPI:
    """Return an app of which the library describes the operations that do not belong to a model; it answers no request."""
    api_app = OpenAPI(
        "caudal.serve.document",
        info=Info(title="caudal", version="1", description="Predictions by the models in production."),
        security_schemes=SCHEMES,
        validation_error_model=Problems,
        doc_ui=False,
    )
    api_app.openapi_version = "3.1.0"
    server: list[Any] = [{"name": "server"}]
    failures: dict[int | str, type[BaseModel]] = {401: Failure, 403: Failure, 429: Failure}
    text: dict[str, object] = {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}

    def health() -> None: ...

    def ready() -> None: ...

    def metrics() -> None: ...

    def models() -> None: ...

    api_app.get("/health", tags=server, summary="Whether the process answers", responses={200: Health})(health)
    api_app.get("/ready", tags=server, summary="Whether the champions are loaded", responses={200: Readiness, 503: Readiness})(
        ready
    )
    api_app.get(
        "/metrics",
        tags=server,
        summary="Counts and latencies, for Prometheus",
        security=SECURITY,
        responses={200: text, **failures},
    )(metrics)
    api_app.get(
        "/api/v1/models",
        tags=server,
        summary="The models served here",
        security=SECURITY,
        responses={200: Models, **failures, 503: Failure},
    )(models)
    return api_app


def _described_model(served: Served, *, images: bool) -> APIBlueprint:
    """Return the operations of a champion, as the library describes them."""
    name, output = f"{served.product}/{served.model}", served.signature.output
    api = APIBlueprint(
        f"{served.product}_{served.model}",
        __name__,
        url_prefix=f"/api/v1/{name}",
        abp_tags=[{"name": name, "description": f"{output.name}, version {served.version}"}],
        abp_security=SECURITY,
        abp_responses=dict.fromkeys((401, 403, 404, 429, 503), Failure),
    )
    unit = f" in {output.unit}" if output.unit else ""
    all_good, with_errors = batch_models(served)
    bad_body: dict[int | str, type[BaseModel]] = {400: Failure, 413: Failure, 415: Failure}

    def predict(body: object, query: PredictQuery) -> None: ...

    def predict_batch(body: object) -> None: ...

    def card() -> None: ...

    # The bodies' models are created at run time, so they cannot be annotations in the source.
    predict.__annotations__["body"] = served.inputs
    predict_batch.__annotations__["body"] = rows_model(served, MOST_ROWS)
    api.post(
        "/predict",
        summary=f"Predict {output.name}{unit}",
        description="One row in, one prediction out, by the version in production. With `?explain=true` also what each input contributed.",
        responses={200: answer_model(served), 422: Problems, **bad_body},
    )(predict)
    api.post(
        "/predict/batch",
        summary=f"Predict {output.name}{unit} for many rows",
        description=f"At most {MOST_ROWS} rows as JSON. If one is bad the status is 422, the errors name it, and the rest is predicted. "
        f"{MOST_ROW_ERRORS} errors of a row and {MOST_ERRORS} in all are described, further ones counted. "
        "Any number of rows as lines of JSON or an Arrow stream, which are answered as they come, as either of both by `Accept`; bad rows have a problem in their place.",
        responses={200: all_good, 422: with_errors, **bad_body, 406: Failure},
    )(predict_batch)
    if images:

        def predict_image(body: ImageBody) -> None: ...

        predict_image.__annotations__["body"] = ImageBody
        api.post(
            "/predict/image",
            summary=f"Predict {output.name} from an image",
            description="As JSON, as the file `image` of a form, or as the bytes alone. The nearest training images come with the answer.",
            responses={200: image_answer_model(served), 422: Problems, **bad_body},
        )(predict_image)
    api.get("/card", summary="The model's card", description=Card.__doc__ or "", responses={200: Card})(card)
    return api


def _describe_streams(operation: dict[str, Any]) -> None:
    """Add to an operation that takes a list of rows what it also takes and gives, of which the library knows nothing.

    Lines are described as the list of them, which is how OpenAPI 3.2 has it.
    """
    rows = operation["requestBody"]["content"].get("application/json", {}).get("schema", {}).get("$ref", "")
    if not rows.endswith("-Rows"):
        return
    row, answer = rows.removesuffix("Rows") + "Inputs", rows.removesuffix("Rows") + "Prediction"
    lines = {
        "type": "array",
        "items": {"anyOf": [{"$ref": ref} for ref in (answer, f"{_SCHEMAS}RowProblems", f"{_SCHEMAS}Failure")]},
    }
    operation["requestBody"]["content"] |= {
        NDJSON: {"schema": {"type": "array", "items": {"$ref": row}, "description": "A row a line."}},
        ARROW: {"schema": {"type": "string", "format": "binary", "description": ARROW_ROWS}},
    }
    operation["responses"]["200"]["content"] |= {
        NDJSON: {
            "schema": {
                **lines,
                "description": "A line for each row, in their order; a Failure is the last line, where not all rows were answered.",
            }
        },
        ARROW: {"schema": {"type": "string", "format": "binary", "description": ARROW_ANSWERS}},
    }
