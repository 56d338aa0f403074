"""The API's routes: what is served, its state, and the dispatch to each model's operations."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TypedDict

from flask import Flask, Response, jsonify
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from caudal.serve.champion_cache import ChampionCache, Name
from caudal.serve.image_featurizer import FeaturizerOf
from caudal.serve.meter import Meter
from caudal.serve.operations import Handler, operations
from caudal.serve.served import Served
from caudal.serve.times import utc
from caudal.web.access import is_admitted
from caudal.web.keys import KeyRing

WITHOUT_KEY = "Show the key to read why."


class OperationsCache:
    """The operations of the champions, created once for each champion in the cache."""

    def __init__(self, champions: ChampionCache, keys: KeyRing, featurizer_of: FeaturizerOf) -> None:
        self.champions, self.keys, self.featurizer_of = champions, keys, featurizer_of
        self._operations: dict[Name, tuple[Served, dict[str, Handler]]] = {}
        self._document: tuple[object, dict[str, object]] | None = None
        self._lock = threading.Lock()

    def of(self, served: Served) -> dict[str, Handler]:
        """Return the operations of a champion."""
        name = (served.product, served.model)
        entry = self._operations.get(name)
        if entry is None or entry[0] is not served:
            entry = self._operations[name] = (served, operations(served, self.champions.ledger))
        return entry[1]

    def document(self) -> dict[str, object]:
        """Return the OpenAPI document of the current champions."""
        from caudal.serve.document import openapi_document  # its library takes a tenth of the start, and few ask for this

        served = self.champions.all()
        key = self.keys.required
        state = [key, *((champion.decision["id"], champion.view_state) for champion in served)]
        with self._lock:
            if self._document is None or self._document[0] != state:
                described = [(champion, self.featurizer_of(champion) is not None) for champion in served]
                self._document = (state, openapi_document(described, key=key))
            return self._document[1]


def offer_api(
    app: Flask,
    champions: ChampionCache,
    meter: Meter,
    collectors: Sequence[Collector],
    featurizer_of: FeaturizerOf,
    keys: KeyRing,
) -> OperationsCache:
    """Add the API to an app, and return the cache of operations that dispatches to the models."""
    operations_cache = OperationsCache(champions, keys, featurizer_of)

    @app.get("/health")
    def health() -> Response:
        return jsonify({"status": "alive"})

    @app.get("/ready")
    def ready() -> Response:
        champions.refresh()
        states = states_of(champions)
        reason = reason_not_ready(champions, states)
        is_ready = bool(states) and all(state["ready"] for state in states) and not champions.ledger_gone
        # A probe learns only whether the server is ready: names, versions and folders are for holders of the key.
        details = (
            {"reason": reason, "models": states} if is_admitted() else {"reason": None if is_ready else WITHOUT_KEY, "models": []}
        )
        response = jsonify({"ready": is_ready, **details})
        response.status_code = 200 if is_ready else 503
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(meter.text(champions, *collectors), content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/api/v1/models")
    def models() -> Response:
        champions.refresh()
        return jsonify({"models": states_of(champions)})

    @app.route("/openapi.json", methods=["GET"], endpoint="openapi")
    def openapi() -> Response:
        return jsonify(operations_cache.document())

    def hand_over(product: str, model: str, operation: str) -> Response:
        return operations_cache.of(champions.get(product, model))[operation]()

    for operation, method in (("predict", "POST"), ("predict/batch", "POST"), ("card", "GET")):
        app.add_url_rule(
            f"/api/v1/<product>/<model>/{operation}",
            f"api {operation}",
            hand_over,
            methods=[method],
            defaults={"operation": operation},
        )
    return operations_cache


class ModelState(TypedDict):
    """The state of a model: its version in memory, why it has none or not the promoted one, the age of its online view, and the version on trial."""

    product: str
    model: str
    version: int | None
    since: str | None
    ready: bool
    reason: str | None
    view: dict[str, object] | None
    view_reason: str | None
    trial: TrialState | None


class TrialState(TypedDict):
    """A version on trial: in memory, or why it is not, while the champion answers all."""

    version: int
    decision: str
    share: float
    by: str
    since: str | None
    ready: bool
    reason: str | None


def trial_state(champions: ChampionCache, name: Name) -> TrialState | None:
    """Return the state of the version on trial beside a champion; None where there is none."""
    served, fault = champions.cached.get(name), champions.trials.faults.get(name)
    decision = served.trial.decision if served and served.trial else fault.decision if fault else None
    if decision is None or decision["trial"] is None:
        return None
    return {
        "version": decision["version"], "decision": decision["decision"], **decision["trial"], "since": utc(decision["at"]),
        "ready": fault is None, "reason": fault.reason if fault else None,
    }  # fmt: skip


def states_of(champions: ChampionCache) -> list[ModelState]:
    """Return the state of each model: those in memory, and promoted ones that could not be loaded."""
    states: list[ModelState] = []
    for product, model in sorted({*champions.cached, *champions.faults}):
        served, fault = champions.cached.get((product, model)), champions.faults.get((product, model))
        reason = None
        if fault is not None:
            reason = f"Version {fault.decision['version']} cannot be loaded: {fault.reason}"
        lookups = served.lookups if served else None
        states.append(
            {
                "product": product,
                "model": model,
                "version": served.version if served else None,
                "since": utc(served.decision["at"]) if served else None,
                "ready": served is not None,
                "reason": reason,
                "view": None if lookups is None else lookups.age(),
                "view_reason": champions.view_faults.get((product, model)) or champions.views_fault,
                "trial": trial_state(champions, (product, model)),
            }
        )
    return states


def reason_not_ready(champions: ChampionCache, states: list[ModelState]) -> str | None:
    """Return why models are not ready, or other problems; None if all is well."""
    if champions.ledger_fault:
        return champions.ledger_fault
    reasons = [f"{state['product']}/{state['model']}: {state['reason']}" for state in states if state["reason"]]
    reasons += sorted(champions.view_faults.values()) + ([champions.views_fault] if champions.views_fault else [])
    if reasons or states:
        return " ".join(reasons) or None
    try:
        names = [f"{product}/{model}" for product, model in champions.trained_models()]
    except SQLAlchemyError as error:
        return f"The ledger cannot be read: {type(error).__name__}"
    if not names:
        return "No model is trained yet: 'caudal run' trains and promotes one."
    return f"No version is in production yet of {', '.join(names)}: 'caudal model promote' puts one there."
