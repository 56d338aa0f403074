"""The web app: a form, an API and a card for each model in production."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flask import Flask
from prometheus_client.registry import Collector

from caudal.ledger.ledger import open_ledger
from caudal.registry import load_for_serving
from caudal.serve.api import offer_api
from caudal.serve.champion_cache import ChampionCache, Load
from caudal.serve.document import new_openapi_app
from caudal.serve.fast_lane import FastLane
from caudal.serve.image_featurizer import featurizers
from caudal.serve.input_watch import InputCounters
from caudal.serve.meter import Meter, count_requests
from caudal.serve.minute_log import ServiceLevelGauges, ServingMinuteLog
from caudal.serve.pages import offer_pages
from caudal.serve.request_log import RequestLog
from caudal.serve.served import PredictingModel
from caudal.serve.uploads import offer_uploads
from caudal.storage.place import Place
from caudal.tables.home import Home
from caudal.tables.online import view_file
from caudal.web.access import guard
from caudal.web.bodies import BodyReader
from caudal.web.look import share_templates
from caudal.web.refusals import register_error_handlers
from caudal.web.server import MOST_BYTES
from caudal.web.shared_state import SharedState


def create_app(
    home: Path,
    ledger_url: str,
    *,
    product: str | None = None,
    model: str | None = None,
    key: str | None = None,
    trust: Sequence[str] = (),
    loader: Load | None = None,
    refresh_s: float = 0.5,
    lake: Place | None = None,
    shared: SharedState | None = None,
) -> Flask:
    """Return the web app of the champions that a ledger names.

    Parameters
    ----------
    home : Path, the folder with the stored models
    ledger_url : str, where the ledger is
    product, model : str, optional, serve only these
    key : str, optional, the key that callers must give
    trust : types that a stored model may contain besides the known safe ones
    loader : callable ``(product, model, version)``, optional, used instead of the registry
    refresh_s : float, shortest time between two reads of promotions from the ledger
    lake : Place, optional, the lake if it is not in the home
    shared : SharedState, optional, what this process has in common with others that serve the same
    """
    ledger = open_ledger(ledger_url)
    home_ = Home(home, ledger_url, lake)

    def from_registry(product: str, model: str, version: int) -> PredictingModel:
        return load_for_serving(home_, ledger, product, model, version, trust=trust)

    def file_of_view(product: str, model: str) -> Path:
        return view_file(home_.online(product), model)

    champions = ChampionCache(
        ledger, loader or from_registry, product=product, model=model, every_s=refresh_s, view_file=file_of_view
    )
    meter = Meter(shared.metrics if shared else None)
    app = new_openapi_app(key is not None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.json = BodyReader(app)
    app.json.sort_keys = False
    app.extensions["caudal"] = champions
    share_templates(app)
    log = app.extensions["minute log"] = ServingMinuteLog(champions)
    count_requests(app, meter, log)
    access = guard(app, key, shared)
    register_error_handlers(app)
    featurizer_of = featurizers(home_, ledger)
    collectors: list[Collector] = [ServiceLevelGauges(log)]
    if shared:
        app.extensions["input totals"] = meter.input_totals()
    else:
        collectors.append(InputCounters(log.inputs))
    requests = app.extensions["request log"] = RequestLog(
        home, ledger, home_.requests, lambda: list(champions.cached), meter.request_rows()
    )
    operations_cache = offer_api(app, champions, meter, collectors, featurizer_of, key=key is not None)
    offer_uploads(app, champions, featurizer_of)
    offer_pages(app, champions, operations_cache, key=key is not None)
    lane = app.extensions["fast lane"] = FastLane(app.wsgi_app, champions, access, meter, log, requests)
    app.wsgi_app = lane  # type: ignore[method-assign]
    return app
