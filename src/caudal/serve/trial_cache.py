"""The versions on trial in memory: each beside the champion that it is tried against."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import DecisionRow
from caudal.ledger.trials import open_trials
from caudal.registry.trials import why_not_tried
from caudal.serve.predicting import try_out
from caudal.serve.served import PredictingModel, Served
from caudal.serve.shadow import ShadowWorker
from caudal.serve.trial import Trial
from caudal.serve.trial_log import TrialLog

log = logging.getLogger(__name__)

Name = tuple[str, str]


@dataclass(frozen=True)
class TrialFault:
    """A version on trial that cannot be loaded, or cannot take the champion's rows."""

    decision: DecisionRow
    champion: int
    reason: str
    at: float


class TrialCache:
    """Loads the versions on trial.

    Parameters
    ----------
    retry_s : time after which a version that did not load is tried again

    Attributes
    ----------
    faults : of trials whose version is not served: the champion answers all
    log : what versions on trial and their champions do
    """

    def __init__(self, ledger: Ledger, load: Callable[[str, str, int], PredictingModel], retry_s: float) -> None:
        self._ledger, self._load, self.retry_s = ledger, load, retry_s
        self.faults: dict[Name, TrialFault] = {}
        self.log, self._shadow = TrialLog(), ShadowWorker()

    def attached(self, cached: Mapping[Name, Served], only: Mapping[str, str]) -> dict[Name, Served]:
        """Return the champions, each with the version that is on trial beside it now.

        Parameters
        ----------
        only : ``product`` and ``model``, where only theirs are served
        """
        decided = {(row["product"], row["model"]): row for row in open_trials(self._ledger, **only)}
        self.faults = {name: fault for name, fault in self.faults.items() if _is(fault.decision, decided.get(name))}
        return {name: self._with_trial(name, served, decided.get(name)) for name, served in cached.items()}

    def _with_trial(self, name: Name, served: Served, decision: DecisionRow | None) -> Served:
        if decision is None:
            return served if served.trial is None else _replaced(served, None)
        if served.trial is not None and _is(served.trial.decision, decision) and served.trial.champion == served.version:
            return served
        fault = self.faults.get(name)
        if fault is not None and fault.champion == served.version and time.monotonic() - fault.at < self.retry_s:
            return served if served.trial is None else _replaced(served, None)
        try:
            challenger = self._challenger(served, decision)
        except Exception as error:  # whatever a stored model raises, the champion answers
            reason = error.sentence() if isinstance(error, CaudalError) else f"{type(error).__name__}: {error}"
            log.error("version %s of %s/%s, on trial, cannot be loaded: %s", decision["version"], *name, reason, exc_info=error)
            self.faults = {**self.faults, name: TrialFault(decision, served.version, reason, time.monotonic())}
            return _replaced(served, None)
        log.info("version %s of %s/%s is on trial (%s)", decision["version"], *name, decision["decision"])
        self.faults = {other: fault for other, fault in self.faults.items() if other != name}
        return _replaced(served, Trial(decision, served.version, challenger, self.log, self._shadow))

    def _challenger(self, served: Served, decision: DecisionRow) -> Served:
        """Return the version of a trial, loaded and tried out; one that is in memory already is taken."""
        if served.trial is not None and served.trial.challenger.version == decision["version"]:
            return served.trial.challenger
        loaded = self._load(served.product, served.model, decision["version"])
        problem = why_not_tried(loaded.signature, served.loaded.signature)
        if problem is not None:
            raise CaudalError(f"It cannot be tried beside version {served.version}: {problem}.")
        challenger = Served(served.product, served.model, decision, loaded)
        try_out(challenger)
        return challenger


def _is(decision: DecisionRow, other: DecisionRow | None) -> bool:
    # A ledger restored from a backup may give an old number to another decision.
    return other is not None and (decision["id"], decision["at"]) == (other["id"], other["at"])


def _replaced(served: Served, trial: Trial | None) -> Served:
    """Return a champion with another trial, whose inputs are made now, and not when the next request comes."""
    other = replace(served, trial=trial)
    _ = other.inputs
    return other
