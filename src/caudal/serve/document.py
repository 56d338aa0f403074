"""The OpenAPI 3.1 document: the app's fixed operations, and those of each champion by its current signature."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_openapi.models.info import Info
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI

from caudal.serve.operations import Operations
from caudal.serve.schemas import Problems, RowProblems
from caudal.web.look import STATIC
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
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}]
SCHEMES: dict[str, Any] = {
    "bearer": SecurityScheme.model_validate({"type": "http", "scheme": "bearer", "description": "The server's key."}),
    "header": SecurityScheme.model_validate({"type": "apiKey", "name": "X-API-Key", "in": "header"}),
}


def new_openapi_app(key: bool) -> OpenAPI:
    """Return an app that describes its API; the serving app is created by it too."""
    api_app = OpenAPI(
        "caudal.serve",
        static_folder=STATIC,
        info=Info(title="caudal", version="1", description="Predictions by the models in production."),
        security_schemes=SCHEMES if key else None,
        validation_error_model=Problems,
        doc_ui=False,
    )
    api_app.openapi_version = "3.1.0"
    return api_app


def openapi_document(app: OpenAPI, operations: Iterable[Operations], *, key: bool) -> dict[str, object]:
    """Return the OpenAPI document of an app and of the champions that it serves now."""
    api_app = new_openapi_app(key)
    api_app.paths.update(app.paths)
    api_app.components_schemas.update(app.components_schemas)
    schema = RowProblems.model_json_schema(ref_template=_SCHEMAS + "{model}")
    api_app.components_schemas |= {**schema.pop("$defs"), "RowProblems": schema}
    for operation_set in operations:
        api_app.register_api(operation_set.api)
    openapi: dict[str, Any] = api_app.api_doc
    for path in openapi["paths"].values():
        for method, operation in path.items():
            if method == "get":
                operation["responses"].pop("422", None)  # the library adds it to all operations; these take no input
        if "post" in path:
            _describe_streams(path["post"])
    return openapi


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
