"""A version on trial in memory: which callers it answers, and how both versions answer rows while it is tried."""

from __future__ import annotations

import marshal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from caudal.declarations.trial import CALLER, HEADER, INPUT, ROW
from caudal.ledger.rows import DecisionRow
from caudal.ledger.trials import CANARY, CHAMPION, SHADOW, Role, TrialKey
from caudal.registry.load import LoadedCompiledModel
from caudal.serve.inputs import Problem
from caudal.serve.predicting import Answer, answer_or_none, answers, answers_or_none, explanation, is_problem
from caudal.serve.served import NoChampion, Served
from caudal.serve.trial_log import TrialLog
from caudal.web.access import CALLER_KEY

if TYPE_CHECKING:
    from caudal.serve.shadow import ShadowWorker

_ALL = 2**64

Values = Mapping[str, object]


@dataclass(frozen=True)
class Trial:
    """A version that is tried beside the one in production.

    Parameters
    ----------
    decision : that it is tried
    champion : version in production
    challenger : the version on trial; it takes the rows of the champion
    log : counts what both do
    shadow : predicts after the answers, from rows that are offered
    """

    decision: DecisionRow
    champion: int
    challenger: Served
    log: TrialLog = field(compare=False)
    shadow: ShadowWorker = field(compare=False)

    @cached_property
    def is_shadow(self) -> bool:
        """Whether it only predicts, and is not answered."""
        return self.decision["decision"] == SHADOW

    @cached_property
    def share(self) -> float:
        """The share of keys whose requests it answers."""
        return self.decision["trial"]["share"] if self.decision["trial"] else 0.0

    @cached_property
    def by(self) -> str:
        """What the keys are: ``row``, ``input:NAME``, ``caller`` or ``header:NAME``."""
        return self.decision["trial"]["by"] if self.decision["trial"] else ROW

    @cached_property
    def is_compiled(self) -> bool:
        """Whether it may predict in the event loop of a server."""
        return isinstance(self.challenger.loaded, LoadedCompiledModel)

    @cached_property
    def header(self) -> str | None:
        """The name in a request's environment of the header that is the key; None where another thing is."""
        return "HTTP_" + self.by.removeprefix(HEADER).replace("-", "_").upper() if self.by.startswith(HEADER) else None

    @cached_property
    def connection_header(self) -> bytes | None:
        """The same header as connections name it."""
        return self.by.removeprefix(HEADER).encode() if self.by.startswith(HEADER) else None

    @cached_property
    def _input(self) -> str:
        return self.by.removeprefix(INPUT)

    @cached_property
    def _bound(self) -> int:
        return round(self.share * _ALL)

    @cached_property
    def _salt(self) -> bytes:
        # Of the version and not of the decision: who has the challenger keeps it when the share grows.
        name = f"{self.challenger.product}/{self.challenger.model}/{self.challenger.version}"
        return blake2b(name.encode(), digest_size=16).digest()

    @cached_property
    def champion_key(self) -> TrialKey:
        """Of what the tally of the champion is."""
        return self._key(CHAMPION, self.champion)

    @cached_property
    def challenger_key(self) -> TrialKey:
        """Of what the tally of the challenger is."""
        return self._key(SHADOW if self.is_shadow else CANARY, self.challenger.version)

    def _key(self, role: Role, version: int) -> TrialKey:
        return TrialKey(self.challenger.product, self.challenger.model, self.decision["id"], role, version)

    def is_challengers(self, served: Served, sent: Any, environ: Mapping[str, Any]) -> bool:
        """Return whether the challenger answers a row: always the same for the same key. Without a key the champion does.

        Parameters
        ----------
        served : the champion
        sent : a valid row, as the caller sent it
        environ : of the request
        """
        key: object
        if self.by == ROW:  # numbers have one form, as 2 and 2.0 are sent by turns; ids beyond 2⁵³ may share a key
            key = [float(value) if type(value := sent.get(name)) is int else value for name in served.asked_names]
        elif self.header is not None:
            key = environ.get(self.header)
        elif self.by == CALLER:
            key = environ.get(CALLER_KEY)
        else:
            key = float(value) if type(value := sent.get(self._input)) is int else value
        if key is None:
            return False
        # The second format of marshal is the same bytes for equal values in every process; later ones tell how a string is kept in memory.
        digest = blake2b(marshal.dumps(key, 2), digest_size=8, salt=self._salt).digest()
        return int.from_bytes(digest, "big") < self._bound

    def challenger_row(self, values: Values) -> Values:
        """Return the challenger's inputs of a row of the champion."""
        names = self._names
        return values if len(names) == len(values) else {name: values[name] for name in names}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.challenger.signature.by_name)


def lane_answer(
    served: Served, trial: Trial, values: Values, sent: object, environ: Mapping[str, Any], *, in_loop: bool
) -> Answer | None:
    """Return the answer to one valid row while a version is tried; None where the app has to find out what is wrong.

    Parameters
    ----------
    in_loop : in the event loop of a server, where only compiled models predict
    """
    if trial.is_shadow:
        answer = answer_or_none(served, values)
        if answer is not None:
            trial.shadow.offer(served, trial, values, answer["prediction"])
        return answer
    is_challengers = trial.is_challengers(served, sent, environ)
    if is_challengers and in_loop and not trial.is_compiled:
        return None
    started = time.perf_counter()
    answer = answer_or_none(trial.challenger, trial.challenger_row(values)) if is_challengers else answer_or_none(served, values)
    if answer is not None:
        seconds = time.perf_counter() - started
        trial.log.count(trial.challenger_key if is_challengers else trial.champion_key, (answer["prediction"],), seconds)
    return answer


def trial_answers(
    served: Served, rows: Sequence[Values], sent: Sequence[object], environ: Mapping[str, Any]
) -> list[Answer | Problem]:
    """Return one answer per valid row, as `answers` does; while a version is tried, it answers its share, or is offered the rows.

    Where the challenger fails at a row, the champion answers it.

    Raises
    ------
    NoChampion
        the champion fails on its own example
    """
    trial = served.trial
    if trial is None or not rows:
        return answers(served, rows)
    results: list[Answer | Problem | None] = [None] * len(rows)
    if not trial.is_shadow:
        chosen = [index for index, row in enumerate(sent) if trial.is_challengers(served, row, environ)]
        _challenger_answers(trial, rows, chosen, results)
    rest = [index for index, result in enumerate(results) if result is None]
    started = time.perf_counter()
    try:
        answered = answers(served, [rows[index] for index in rest])
    except NoChampion:
        trial.log.count(trial.champion_key, [None] * len(rest))
        raise
    seconds = time.perf_counter() - started
    for index, answer in zip(rest, answered, strict=True):
        results[index] = answer
    predictions = [None if is_problem(answer) else answer["prediction"] for answer in answered]
    if trial.is_shadow:
        for index, prediction in zip(rest, predictions, strict=True):
            trial.shadow.offer(served, trial, rows[index], prediction)
    elif rest:
        trial.log.count(trial.champion_key, predictions, seconds)
    return [result for result in results if result is not None]


def trial_explanation(served: Served, values: Values, version: object) -> dict[str, object] | None:
    """Return what each input contributed to a prediction, by the version that made it."""
    answering = answering_version(served, version)
    return explanation(answering, values if served.trial is None or answering is served else served.trial.challenger_row(values))


def answering_version(served: Served, version: object) -> Served:
    """Return the version that has answered: the champion, or the one on trial beside it."""
    return served.trial.challenger if served.trial is not None and version == served.trial.challenger.version else served


def _challenger_answers(
    trial: Trial, rows: Sequence[Values], chosen: Sequence[int], results: list[Answer | Problem | None]
) -> None:
    """Set the challenger's answers to some rows; those at which it fails stay None."""
    if not chosen:
        return
    own = [trial.challenger_row(rows[index]) for index in chosen]
    started = time.perf_counter()
    answered = answers_or_none(trial.challenger, own)
    seconds = time.perf_counter() - started
    for index, answer in zip(chosen, answered, strict=True):
        results[index] = answer
    trial.log.count(trial.challenger_key, [None if answer is None else answer["prediction"] for answer in answered], seconds)
