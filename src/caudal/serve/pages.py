"""The pages: models, form, card, and an API explorer. They work without JavaScript, except the explorer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Flask, g, render_template, request

from caudal.report.trials import WORDS, seen_lines
from caudal.serve.api import OperationsCache, states_of
from caudal.serve.card import DISTANCES, card_of, typical_error
from caudal.serve.champion_cache import ChampionCache
from caudal.serve.form_texts import from_text, joined_times, readable_value, starting_texts
from caudal.serve.minute_log import SentRows
from caudal.serve.predicting import is_problem
from caudal.serve.request_log import log_answers
from caudal.serve.served import Served
from caudal.serve.signature import shown_number
from caudal.serve.trial import answering_version, trial_answers, trial_explanation
from caudal.web.form_token import FIELD

# Not strftime's names, which follow the machine's language.
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip

# A list of more than this many categories is searched by typing, not scrolled.
LONG_LIST = 12

EXPLAIN = "explain"  # the button of the form that asks for contributions


def offer_pages(app: Flask, champions: ChampionCache, operations_cache: OperationsCache) -> None:
    """Add the pages to an app, by ``route``: ``get`` and ``post`` would describe them as operations of the API."""
    app.jinja_env.filters["number"] = shown_number
    app.jinja_env.filters["shown"] = readable_value
    app.jinja_env.filters["moment"] = readable_time
    app.jinja_env.globals.update(LONG_LIST=LONG_LIST, DISTANCES=DISTANCES, TRIAL_WORDS=WORDS, seen_lines=seen_lines)
    app.jinja_env.globals.update(
        pages=(("/", "Models"), ("/docs", "API")),
        below=(("/ready", "Readiness"), ("/metrics", "Metrics"), ("/openapi.json", "OpenAPI 3.1")),
    )

    @app.route("/", methods=["GET"])
    def landing() -> str:
        champions.refresh()
        waiting = [name for name in champions.trained_models() if name not in champions.cached and name not in champions.faults]
        return render_template("landing.html", states=states_of(champions), cached=champions.cached, waiting=waiting)

    @app.route("/<product>/<model>/", methods=["GET"])
    def form(product: str, model: str) -> str:
        served = champions.get(product, model)
        if app.jinja_env.globals["featurizer_of"](served) is not None:  # type: ignore[operator]
            return render_template("image.html", served=served)
        return _form(champions, served, starting_texts(served))

    @app.route("/<product>/<model>/", methods=["POST"])
    def predict_from_form(product: str, model: str) -> str | tuple[str, int]:
        served = champions.get(product, model)
        texts = {name: request.form[name] for name in request.form if name not in (EXPLAIN, FIELD) or name in served.asked.by_name}
        values = from_text(joined_times(texts, served.asked), served.asked)
        g.sent = SentRows(served, (values,))
        row = served.row(values)
        problems = row.problems
        if row.good:
            g.sent = SentRows(served, (row.values,))
            answer = trial_answers(served, [row.values], [values if row.looked_up else row.values], request.environ)[0]
            if not is_problem(answer):
                log_answers(served, [(0, row, answer)])
                wanted = EXPLAIN in request.form and EXPLAIN not in served.asked.by_name
                explained = trial_explanation(served, row.values, answer["version"]) if wanted else None
                return _form(
                    champions,
                    served,
                    texts,
                    answer=answer,
                    call=_call(served, values if row.looked_up else row.values),
                    explanation=explained,
                    wanted=wanted,
                    looked_up=row.looked_up,
                )
            problems = [answer]
        return _form(champions, served, texts, problems=problems), 422

    @app.route("/<product>/<model>/card", methods=["GET"])
    def card(product: str, model: str) -> str:
        served = champions.get(product, model)
        return render_template("card.html", served=served, card=card_of(champions.ledger, served))

    @app.route("/docs", methods=["GET"])
    def docs() -> str:
        groups: dict[str, list[dict[str, Any]]] = {}
        for operation in operations_of(operations_cache.document()):
            groups.setdefault(operation["tag"], []).append(operation)
        groups["server"] = groups.pop("server")  # the models come first
        return render_template("docs.html", groups=groups)


def operations_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the operations of an OpenAPI document in the page's format."""
    documents = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            schema = _schema(document, operation.get("requestBody"))
            documents.append(
                {
                    "id": operation["operationId"],
                    "tag": operation["tags"][0],
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("summary", ""),
                    "description": operation.get("description", ""),
                    "body": json.dumps(_example(document, schema), indent=2, ensure_ascii=False) if schema else None,
                    "inputs": _inputs(document, schema) if schema else [],
                    "statuses": [(status, answer["description"]) for status, answer in sorted(operation["responses"].items())],
                }
            )
    return documents


def readable_time(iso: str | None) -> str:
    """Return an ISO time in a format for people.

    Examples
    --------
    >>> readable_time("2023-01-31T09:05:00Z")
    '31 January 2023, 09:05 UTC'
    """
    if not iso:
        return "never"
    at = datetime.fromisoformat(iso)
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def _form(champions: ChampionCache, served: Served, texts: dict[str, str], **more: Any) -> str:
    faults: dict[str | None, list[object]] = {}
    for problem in more.get("problems", ()):
        faults.setdefault(problem["field"], []).append(problem)
    answer = more.get("answer")
    error = typical_error(champions.ledger, answering_version(served, answer["version"])) if answer else None
    return render_template("form.html", served=served, texts=texts, faults=faults, error=error, **more)


def _call(served: Served, values: dict[str, object]) -> str:
    """Return the shell command of the same API request."""
    quoted = json.dumps(values, ensure_ascii=False).replace("'", "'\\''")
    address = f"{request.url_root}api/v1/{served.product}/{served.model}/predict"
    return f"curl {address} \\\n  -H 'Content-Type: application/json' \\\n  -d '{quoted}'"


def _schema(document: Mapping[str, Any], body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return _resolve_reference(document, body["content"]["application/json"]["schema"]) if body else None


def _resolve_reference(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    referenced: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return referenced


def _example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> object:
    if schema.get("type") == "array":
        return [_example(document, _resolve_reference(document, schema["items"]))]
    example = (schema.get("examples") or [{}])[0]
    return {name: example[name] for name in schema.get("properties", {}) if name in example}  # in the order of the form


def _inputs(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    row = _resolve_reference(document, schema["items"]) if schema.get("type") == "array" else schema
    required = row.get("required", [])
    return [
        {"name": name, "required": name in required, "description": property_.get("description"), "type": _type(property_)}
        for name, property_ in row.get("properties", {}).items()
    ]


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(alternative) for alternative in schema["anyOf"])
    if "enum" in schema:
        return f"one of {len(schema['enum'])} values"
    if "const" in schema:
        return f"'{schema['const']}'"
    return str(schema.get("type", "anything"))
