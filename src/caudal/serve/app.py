"""The web app: a form, an API and a card for each model in production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from flask import Flask
from prometheus_client.registry import Collector

from caudal.ledger.access import keys, record_event
from caudal.ledger.ledger import open_ledger
from caudal.ledger.rows import KeyRole
from caudal.registry.load import load_for_serving, load_version, version_row
from caudal.serve.api import offer_api
from caudal.serve.before_fork import SharedModels
from caudal.serve.champion_cache import ChampionCache, Load
from caudal.serve.fast_lane import FastLane
from caudal.serve.image_featurizer import featurizers
from caudal.serve.input_watch import InputCounters
from caudal.serve.meter import Meter, count_requests
from caudal.serve.minute_log import ServiceLevelGauges, ServingMinuteLog
from caudal.serve.pages import offer_pages
from caudal.serve.request_log import RequestLog
from caudal.serve.served import PredictingModel
from caudal.serve.trial_log import TrialCounters
from caudal.serve.uploads import offer_uploads
from caudal.storage.place import Place
from caudal.tables.home import Home
from caudal.tables.views import view_place
from caudal.web.access import guard
from caudal.web.bodies import BodyReader
from caudal.web.keys import KeyRing
from caudal.web.look import STATIC, share_templates
from caudal.web.refusals import register_error_handlers
from caudal.web.server import MOST_BYTES
from caudal.web.shared_state import SharedState

ROLES: Mapping[str, KeyRole] = {
    "api predict": "predict",
    "api predict/batch": "predict",
    "predict_image": "predict",
    "predict_from_form": "predict",
    "image_page": "predict",
    "metrics": "observe",
}
"""The role that an endpoint needs; any key suffices for the others: cards, pages, the list of models."""


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
    online: str | None = None,
    shared: SharedState | None = None,
    tls: bool = False,
    models: SharedModels | None = None,
) -> Flask:
    """Return the web app of the champions that a ledger names.

    Parameters
    ----------
    home : Path, the folder with the stored models
    ledger_url : str, where the ledger is
    product, model : str, optional, serve only these
    key : str, optional, a key that callers may give, besides those of the ledger
    trust : types that a stored model may contain besides the known safe ones
    loader : callable ``(product, model, version)``, optional, used instead of the registry
    refresh_s : float, shortest time between two reads of promotions from the ledger
    lake : Place, optional, the lake if it is not in the home
    online : str, optional, address of the place of online views if they are not in the home
    shared : SharedState, optional, what this process has in common with others that serve the same
    tls : whether the server encrypts: browsers are told to ask no other way
    models : SharedModels, optional, those that were loaded before this process was forked
    """
    ledger = open_ledger(ledger_url)
    home_ = Home(home, ledger_url, lake, online)

    def from_registry(product: str, model: str, version: int) -> PredictingModel:
        if models:
            row = version_row(ledger, product, model, version)
            shared = models.get((product, model, version, row["artifact_sha256"]))
            if shared is not None:
                return replace(shared, load=partial(load_version, home_, ledger, product, model, version, trust=trust))
        return load_for_serving(home_, ledger, product, model, version, trust=trust)

    champions = ChampionCache(
        ledger, loader or from_registry, product=product, model=model, every_s=refresh_s, views=view_place(home_)
    )
    meter = Meter(shared.metrics if shared else None)
    app = Flask("caudal.serve", static_folder=STATIC)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.json = BodyReader(app)
    app.json.sort_keys = False
    app.extensions["caudal"] = champions
    share_templates(app)
    log = app.extensions["minute log"] = ServingMinuteLog(champions, trials=champions.trials.log)
    count_requests(app, meter, log)
    ring = app.extensions["keys"] = KeyRing(key, partial(keys, ledger), shared, every_s=refresh_s)
    access = guard(app, ring, shared, roles=ROLES, tls=tls, record=partial(record_event, ledger, "serve"))
    register_error_handlers(app)
    featurizer_of = featurizers(home_, ledger)
    collectors: list[Collector] = [ServiceLevelGauges(log)]
    if shared:
        app.extensions["input totals"], app.extensions["trial totals"] = meter.input_totals(), meter.trial_totals()
    else:
        collectors += [InputCounters(log.inputs), TrialCounters(log.trials)]
    requests = app.extensions["request log"] = RequestLog(
        home, ledger, home_.requests, lambda: list(champions.cached), meter.request_rows()
    )
    operations_cache = offer_api(app, champions, meter, collectors, featurizer_of, ring)
    offer_uploads(app, champions, featurizer_of)
    offer_pages(app, champions, operations_cache)
    lane = app.extensions["fast lane"] = FastLane(app.wsgi_app, champions, access, meter, log, requests)
    app.wsgi_app = lane  # type: ignore[method-assign]
    return app
