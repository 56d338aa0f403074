"""``caudal up``: the flow, top to bottom."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from caudal.daemon.messenger import Messenger
from caudal.daemon.rounds import TICK_S, DaemonPace, Rounds, Say
from caudal.daemon.wake_signal import WakeSignal
from caudal.daemon.watch import DeclaredTrigger, Watcher
from caudal.daemon.watchers.files import Waker
from caudal.daemon.worker import Worker
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError, DeclarationProblem
from caudal.graph.load import load, product_file
from caudal.kinds import WATCHERS
from caudal.ledger.claim import claim
from caudal.runtime.opening import checked_product, open_home
from caudal.tables.home import Home

SETTLE_S = 2.0
_REST_S = 0.05  # between two rounds, however often the daemon is woken
_AGAIN_S = 2.0


def up(folders: Sequence[Path], settings: Settings, say: Say, pace: DaemonPace | None = None) -> None:
    """Keep products running until SIGTERM or Ctrl-C.

    Raises
    ------
    DeclarationProblem : a product's declaration is wrong, or it has no trigger
    """
    pace = pace or DaemonPace()
    home = open_home(settings)
    products = load_products(folders)
    settle_s = SETTLE_S if settings.settle is None else settings.settle
    with (
        contextlib.closing(home.ledger()) as ledger,
        WakeSignal() as wake_signal,
        claim(ledger, f"up {secrets.token_hex(4)}") as daemon_claim,
        Waker(wake_signal.ring) as waker,
        Messenger([product for _, product in products.values()], home, ledger, settings, say),
    ):
        watchers = [
            watcher
            for folder, product in products.values()
            for watcher in watchers_of(product, home, _data(folder, settings), settle_s)
        ]
        worker = Worker(
            {name: folder for name, (folder, _) in products.items()}, home, ledger, settings, daemon_claim.holder, settle_s=settle_s,
            at_once=pace.at_once,
        )  # fmt: skip
        rounds = Rounds(ledger, watchers, worker, waker, say, pace)
        say({"what": "up", "products": list(products), "watchers": [watcher.name for watcher in watchers]})
        began = time.monotonic()
        while not wake_signal.asked_to_stop and not rounds.idle_for(pace.idle_s):
            if pace.seconds is not None and time.monotonic() - began > pace.seconds:
                break
            try:
                rounds.round(woken=wake_signal.rung())
            except (
                SQLAlchemyError,
                OSError,
                CaudalError,
            ) as error:  # the ledger does not answer, or a folder is missing: the next round may succeed
                rounds.report_error(error)
                time.sleep(_AGAIN_S)
            wake_signal.wait(TICK_S)
            time.sleep(_REST_S)
        rounds.end(pace.grace_s)
        say({"what": "down"})


def load_products(folders: Sequence[Path]) -> dict[str, tuple[Path, Product]]:
    """Return the products in some folders by name, each with its folder.

    Raises
    ------
    DeclarationProblem : two products have the same name, or a declaration is wrong or has no trigger
    """
    products: dict[str, tuple[Path, Product]] = {}
    for folder in folders:
        product = load_triggered_product(folder)
        if product.name in products:
            raise DeclarationProblem(
                f"Product '{product.name}' is given twice: {products[product.name][0]} and {folder}.",
                fix="Give each once.",
                where=str(product.where),
            )
        products[product.name] = (folder, product)
    return products


def load_triggered_product(folder: Path) -> Product:
    """Return the product in a folder; it has at least one trigger.

    Raises
    ------
    DeclarationProblem : the declaration is wrong, or has no trigger
    """
    product = checked_product(load(folder))
    sources, predictions = product.sources.values(), product.predictions.values()
    if not any([*product.schedules, *(source.trigger for source in sources), *(prediction.trigger for prediction in predictions)]):
        raise DeclarationProblem(
            f"Nothing triggers product '{product.name}'.",
            fix='Give a source trigger=cd.on_arrival(), or say product.schedule(cd.every("midnight")).',
            where=str(product.where),
        )
    return product


def watchers_of(product: Product, home: Home, data: Path, settle_s: float) -> list[Watcher]:
    """Return one watcher for each of a product's triggers, of the first kind that looks out for such a trigger."""
    declared: list[tuple[str, object, Source | None]] = [
        *(("schedule", schedule, None) for schedule in product.schedules),
        *((f"source:{name}", source.trigger, source) for name, source in product.sources.items()),
        *((f"prediction:{name}", prediction.trigger, None) for name, prediction in product.predictions.items()),
        *((f"model:{name}", model.retrain, None) for name, model in product.models.items()),
    ]
    triggers = [DeclaredTrigger(product, owner, trigger, source, home, data, settle_s) for owner, trigger, source in declared]
    watchers = (
        next((watcher for make in WATCHERS.values() if (watcher := make(watched)) is not None), None) for watched in triggers
    )
    return [watcher for watcher in watchers if watcher is not None]


def _data(folder: Path, settings: Settings) -> Path:
    return settings.data or product_file(folder).parent
