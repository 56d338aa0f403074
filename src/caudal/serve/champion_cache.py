"""The champions in memory, and how a promotion reaches them without a restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Select, Table, func, select

from caudal.errors import CaudalError, NotThere, nearest
from caudal.ledger.ledger import Ledger, LedgerGone
from caudal.ledger.records import decisions, model_versions
from caudal.ledger.rows import DecisionRow
from caudal.serve.predicting import try_out
from caudal.serve.served import NoChampion, PredictingModel, Served
from caudal.serve.trial_cache import TrialCache
from caudal.tables.online import UNREADABLE, OnlineView, ViewPlace, ViewsUnavailable
from caudal.tables.views import opened_view

log = logging.getLogger(__name__)

R = TypeVar("R", bound=tuple[Any, ...])
Name = tuple[str, str]  # product, model


Load = Callable[[str, str, int], PredictingModel]


@dataclass(frozen=True)
class LoadFailure:
    """A promoted version that could not be loaded."""

    decision: DecisionRow
    reason: str
    at: float


class ChampionCache:
    """The champions of a ledger.

    Parameters
    ----------
    load : callable ``(product, model, version)``, returns the loaded model
    product, model : str, optional, serve only these
    every_s : float, shortest time between two reads of the ledger
    retry_s : float, time after which a version that did not load is tried again
    views : ViewPlace, optional, where online views lie
    """

    def __init__(
        self,
        ledger: Ledger,
        load: Load,
        *,
        product: str | None = None,
        model: str | None = None,
        every_s: float = 0.5,
        retry_s: float = 30.0,
        views: ViewPlace | None = None,
    ) -> None:
        self.ledger, self.load, self.every_s, self.retry_s = ledger, load, every_s, retry_s
        self.only = {name: value for name, value in (("product", product), ("model", model)) if value}
        self.cached: dict[Name, Served] = {}  # replaced as a whole and never changed, so that readers need no lock
        self.faults: dict[Name, LoadFailure] = {}
        self.trials = TrialCache(ledger, self._load_version, retry_s)
        self.ledger_fault: str | None = None
        self.ledger_gone = False  # the home was removed: the cache can be neither updated nor verified
        self.views = views
        self.views_fault: str | None = None  # why the place of online views cannot be asked; views in memory go on
        self.view_faults: dict[Name, str] = {}  # why a model's newest view cannot be read
        self._unreadable: dict[Name, object] = {}  # states of views that could not be read
        self._refreshed_at = -float("inf")
        self._refreshing = threading.Lock()

    def refresh(self) -> None:
        """Bring the champions in line with the ledger, at most once in ``every_s``.

        One thread reads and loads; the others use the cached champions meanwhile. Only the very first call makes them wait.
        """
        now = time.monotonic()
        if now - self._refreshed_at < self.every_s:
            return
        first = self._refreshed_at < 0
        if not self._refreshing.acquire(blocking=first):
            return
        try:
            if first and self._refreshed_at >= 0:  # another thread was first
                return
            self._update_from_ledger()
            self._follow_trials()
            self._follow_views()
            self._refreshed_at = time.monotonic()
        finally:
            self._refreshing.release()

    def get(self, product: str, model: str) -> Served:
        """Return the champion.

        Raises
        ------
        NotThere
            the model does not exist; the error has the nearest name
        NoChampion
            nothing was promoted yet, or the promoted version cannot be loaded
        """
        self.refresh()
        served = self.cached.get((product, model))
        if served is not None:
            return served
        fault = self.faults.get((product, model))
        if fault is not None:
            raise NoChampion(
                f"Version {fault.decision['version']} of '{product}/{model}' is promoted but cannot be loaded: {fault.reason}",
                fix=f"Go back with 'caudal model rollback {model} --product {product}', or train again.",
            )
        names = self.trained_models()
        if (product, model) not in names:
            raise NotThere(
                f"No model '{product}/{model}' is served here.",
                nearest=nearest(f"{product}/{model}", [f"{product_name}/{model_name}" for product_name, model_name in names]),
                fix="See the list at /." if names else "Nothing is trained yet: 'caudal run' trains and promotes a model.",
            )
        raise NoChampion(
            f"No version of '{product}/{model}' is in production yet.",
            fix=f"Promote one with 'caudal model promote {model} VERSION --product {product}'; 'caudal model list' has them.",
        )

    def all(self) -> list[Served]:
        """Return the champions in order of name."""
        self.refresh()
        return [served for _, served in sorted(self.cached.items())]

    def trained_models(self) -> list[Name]:
        """Return the models that have any version."""
        query = select(model_versions.c.product, model_versions.c.model).distinct()
        return sorted((row["product"], row["model"]) for row in self.ledger.rows(self._narrowed(query, model_versions)))

    def _update_from_ledger(self) -> None:
        try:
            newest = self._newest()
            self.ledger_fault, self.ledger_gone = None, False
        except LedgerGone as error:
            self.ledger_fault, self.ledger_gone = error.sentence(), True
            log.error(self.ledger_fault)
            return
        except Exception as error:  # noqa: BLE001  a database may raise anything; cached champions are still served
            self.ledger_fault = f"The ledger cannot be read: {str(error).partition(chr(10))[0]}"
            log.warning(self.ledger_fault)
            return
        self._forget_all_but(newest)
        for decision in self._changed(newest):
            name = (decision["product"], decision["model"])
            try:
                served = Served(*name, decision, self.load(*name, decision["version"]), self._view(name))
                try_out(served)
            except Exception as error:  # whatever a stored model raises, the previous one is still served
                reason = error.sentence() if isinstance(error, CaudalError) else f"{type(error).__name__}: {error}"
                log.error("version %s of %s/%s cannot be loaded: %s", decision["version"], *name, reason, exc_info=error)
                self.faults = {**self.faults, name: LoadFailure(decision, reason, time.monotonic())}
            else:
                log.info("serving version %s of %s/%s", served.version, *name)
                self.cached = {**self.cached, name: served}
                self.faults = {other: fault for other, fault in self.faults.items() if other != name}

    def _load_version(self, product: str, model: str, version: int) -> PredictingModel:
        return self.load(product, model, version)

    def _follow_trials(self) -> None:
        """Have the version on trial beside each champion; a champion without one is left as it is."""
        if self.ledger_fault is not None:
            return
        try:
            self.cached = self.trials.attached(self.cached, self.only)
        except Exception as error:  # noqa: BLE001  a database may raise anything; trials in memory go on
            log.warning("the ledger's trials cannot be read: %s", str(error).partition("\n")[0])

    def _follow_views(self) -> None:
        """Replace champions whose online view is a new one. A request uses one champion, and so the whole of the old or of the new view."""
        states = self._view_states(list(self.cached))
        if states is None:
            return
        for name, served in self.cached.items():
            state = states.get(name)
            if state == served.view_state:
                self.view_faults.pop(name, None)
                continue
            if state is not None and state == self._unreadable.get(name):
                continue
            view = self._opened_view(name, state)
            if state is None or view is not None:
                other = replace(served, view=view)
                _ = other.inputs  # made now, and not when the next request comes
                self.cached = {**self.cached, name: other}

    def _view_states(self, names: list[Name]) -> dict[Name, object] | None:
        """Return by what the views of models are told from those before them; None where their place does not answer."""
        if self.views is None or not names:
            return {}
        try:
            states = self.views.states(names)
        except UNREADABLE as error:
            if self.views_fault is None:
                log.error("%s", error)
            self.views_fault = str(error)
            return None
        if self.views_fault is not None:
            log.info("the online views at %s answer again", self.views.shown)
        self.views_fault = None
        return states

    def _view(self, name: Name) -> OnlineView | None:
        """Return the online view of a model; None where there is none, or none that can be read."""
        states = self._view_states([name])
        return None if states is None else self._opened_view(name, states.get(name))

    def _opened_view(self, name: Name, state: object) -> OnlineView | None:
        """Return the online view of a model in a state; None where there is none, or none that can be read."""
        if self.views is None or state is None:
            self.view_faults.pop(name, None)
            return None
        try:
            view = opened_view(self.views, name)
        except UNREADABLE as error:
            self.view_faults[name] = f"The online view of '{name[0]}/{name[1]}' at {self.views.shown} cannot be read: {error}"
            log.error("%s", self.view_faults[name])
            if not isinstance(error, ViewsUnavailable):  # what does not answer now may answer in a moment
                self._unreadable[name] = state
            return None
        self.view_faults.pop(name, None)
        return view

    def _newest(self) -> dict[Name, DecisionRow]:
        """Return the current decision on each model."""
        ids = select(func.max(decisions.c.id)).where(decisions.c.decision.in_(("promoted", "rolled back")))
        ids = self._narrowed(ids, decisions).group_by(decisions.c.product, decisions.c.model)
        rows = self.ledger.rows(select(decisions).where(decisions.c.id.in_(ids)).order_by(decisions.c.id), decisions)
        return {(row["product"], row["model"]): row for row in rows}

    def _changed(self, newest: Mapping[Name, DecisionRow]) -> list[DecisionRow]:
        now = time.monotonic()
        # A ledger restored from a backup may give an old number to another decision.
        settled = {(served.decision["id"], served.decision["at"]) for served in self.cached.values()}
        settled |= {(fault.decision["id"], fault.decision["at"]) for fault in self.faults.values() if now - fault.at < self.retry_s}
        return [decision for decision in newest.values() if (decision["id"], decision["at"]) not in settled]

    def _forget_all_but(self, newest: Mapping[Name, DecisionRow]) -> None:
        """Drop models without a decision in the ledger, which may have been restored from an earlier backup."""
        self.cached = {name: served for name, served in self.cached.items() if name in newest}
        self.faults = {name: fault for name, fault in self.faults.items() if name in newest}

    def _narrowed(self, query: Select[R], table: Table) -> Select[R]:
        for column, value in self.only.items():
            query = query.where(table.c[column] == value)
        return query
