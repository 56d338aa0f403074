"""The API's addresses: what is served, how it is, and the hand-over to each model's operations."""

from __future__ import annotations

import threading
from typing import Any

from flask import Response, jsonify
from flask_openapi.openapi import OpenAPI
from sqlalchemy.exc import SQLAlchemyError

from caudal.serve.card import utc
from caudal.serve.champion_cache import ChampionCache, Name
from caudal.serve.document import SECURITY, document
from caudal.serve.image_featurizer import FeaturizerOf
from caudal.serve.meter import Meter
from caudal.serve.operations import Operations, operations
from caudal.serve.schemas import Failure, Health, Models, Readiness
from caudal.serve.served import Served
from caudal.web.access import admitted

WITHOUT_KEY = "Show the key to read why."


class Counter:
    """The operations of the champions, made once for each that comes to the shelf."""

    def __init__(self, app: OpenAPI, champions: ChampionCache, key: bool, featurizer_of: FeaturizerOf) -> None:
        self.app, self.champions, self.key, self.featurizer_of = app, champions, key, featurizer_of
        self._made: dict[Name, tuple[Served, Operations]] = {}
        self._document: tuple[list[int], dict[str, object]] | None = None
        self._lock = threading.Lock()

    def of(self, served: Served) -> Operations:
        """Return the operations of a champion."""
        name = (served.product, served.model)
        made = self._made.get(name)
        if made is None or made[0] is not served:
            images = self.featurizer_of(served) is not None
            made = (served, operations(served, self.champions.ledger, SECURITY if self.key else [], images=images))
            self._made[name] = made
        return made[1]

    def document(self) -> dict[str, object]:
        """Return the OpenAPI document of what is served now."""
        served = self.champions.all()
        shown = [one.decision["id"] for one in served]
        with self._lock:
            if self._document is None or self._document[0] != shown:
                self._document = (shown, document(self.app, [self.of(one) for one in served], key=self.key))
            return self._document[1]


def offer_api(app: OpenAPI, champions: ChampionCache, meter: Meter, featurizer_of: FeaturizerOf, *, key: bool) -> Counter:
    """Give an app its API and return the counter at which models are asked."""
    counter = Counter(app, champions, key, featurizer_of)
    secured = SECURITY if key else None
    failures: dict[int | str, Any] = {401: Failure, 503: Failure} if key else {503: Failure}

    @app.get("/health", tags=[{"name": "server"}], summary="Whether the process answers", responses={200: Health})
    def health() -> Response:
        return jsonify({"status": "alive"})

    @app.get(
        "/ready",
        tags=[{"name": "server"}],
        summary="Whether the champions are loaded",
        responses={200: Readiness, 503: Readiness},
    )
    def ready() -> Response:
        champions.refresh()
        states = states_of(champions)
        reason = unready(champions, states)
        able = bool(states) and all(state["ready"] for state in states) and not champions.ledger_gone
        # A probe is told whether, never what: names, versions and folders are for those who have the key.
        told = {"reason": reason, "models": states} if admitted() else {"reason": None if able else WITHOUT_KEY, "models": []}
        response = jsonify({"ready": able, **told})
        response.status_code = 200 if able else 503
        return response

    text: dict[str, Any] = {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}

    @app.get("/metrics", tags=[{"name": "server"}], summary="Counts and latencies, for Prometheus", security=secured,
             responses={200: text, **({401: Failure} if key else {})})  # fmt: skip
    def metrics() -> Response:
        return Response(meter.text(champions), content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/api/v1/models", tags=[{"name": "server"}], summary="The models served here", security=secured,
             responses={200: Models, **failures})  # fmt: skip
    def models() -> Response:
        champions.refresh()
        return jsonify({"models": states_of(champions)})

    @app.route("/openapi.json", methods=["GET"], endpoint="openapi")
    def openapi() -> Response:
        return jsonify(counter.document())

    def hand_over(product: str, model: str, operation: str) -> Response:
        return counter.of(champions.get(product, model)).handlers[operation]()

    for operation, method in (("predict", "POST"), ("predict/batch", "POST"), ("card", "GET")):
        app.add_url_rule(
            f"/api/v1/<product>/<model>/{operation}",
            f"api {operation}",
            hand_over,
            methods=[method],
            defaults={"operation": operation},
        )
    return counter


def states_of(champions: ChampionCache) -> list[dict[str, Any]]:
    """Return how each model is served: those in memory, and those promoted that could not be loaded."""
    states = []
    for product, model in sorted({*champions.held, *champions.faults}):
        served, fault = champions.held.get((product, model)), champions.faults.get((product, model))
        reason = None
        if fault is not None:
            reason = f"Version {fault.decision['version']} cannot be loaded: {fault.reason}"
        states.append(
            {
                "product": product,
                "model": model,
                "version": served.version if served else None,
                "since": utc(served.decision["at"]) if served else None,
                "ready": served is not None,
                "reason": reason,
            }
        )
    return states


def unready(champions: ChampionCache, states: list[dict[str, object]]) -> str | None:
    """Return what a reader of the readiness should know; None when all is well."""
    if champions.ledger_fault:
        return champions.ledger_fault
    reasons = [f"{state['product']}/{state['model']}: {state['reason']}" for state in states if state["reason"]]
    if reasons or states:
        return " ".join(reasons) or None
    try:
        known = [f"{product}/{model}" for product, model in champions.known()]
    except SQLAlchemyError as error:
        return f"The ledger cannot be read: {type(error).__name__}"
    if not known:
        return "No model is trained yet: 'caudal run' trains and promotes one."
    return f"No version is in production yet of {', '.join(known)}: 'caudal model promote' puts one there."
