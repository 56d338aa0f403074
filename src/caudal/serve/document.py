"""The OpenAPI 3.1 document: the app's fixed operations, and those of each champion by its current signature."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_openapi.models.info import Info
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI

from caudal.serve.operations import Operations
from caudal.serve.schemas import Problems
from caudal.web.look import STATIC

SCHEMES: dict[str, Any] = {
    "bearer": SecurityScheme.model_validate({"type": "http", "scheme": "bearer", "description": "A key to the server."}),
    "header": SecurityScheme.model_validate({"type": "apiKey", "name": "X-API-Key", "in": "header"}),
}


def new_openapi_app() -> OpenAPI:
    """Return an app that describes its API; the serving app is created by it too."""
    api_app = OpenAPI(
        "caudal.serve",
        static_folder=STATIC,
        info=Info(title="caudal", version="1", description="Predictions by the models in production."),
        security_schemes=SCHEMES,
        validation_error_model=Problems,
        doc_ui=False,
    )
    api_app.openapi_version = "3.1.0"
    return api_app


def openapi_document(app: OpenAPI, operations: Iterable[Operations], *, key: bool) -> dict[str, object]:
    """Return the OpenAPI document of an app and of the champions that it serves now.

    Parameters
    ----------
    key : whether a key is required
    """
    api_app = new_openapi_app()
    api_app.paths.update(app.paths)
    api_app.components_schemas.update(app.components_schemas)
    for operation_set in operations:
        api_app.register_api(operation_set.api)
    openapi: dict[str, Any] = api_app.api_doc
    for path in openapi["paths"].values():
        for method, operation in path.items():
            if method == "get":
                operation["responses"].pop("422", None)  # the library adds it to all operations; these take no input
            if not key:
                operation.pop("security", None)
                for status in ("401", "403"):
                    operation["responses"].pop(status, None)
    if not key:
        openapi.get("components", {}).pop("securitySchemes", None)
    return openapi
