"""The gates that a version must pass to be promoted: one function a kind of gate, each returns figures and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from caudal.declarations.model import Beats, BeatsBaseline, BeatsChampion, Limit, Model, Parity
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.train.baseline import NAME
from caudal.stages.train.evaluate import Evaluation, Result
from caudal.stages.train.metrics import better, error_metric, gain, known_metric, scores
from caudal.stages.train.rows import Rows
from caudal.stages.train.scikit import ScikitCandidate
from caudal.stages.train.split import Fold

if TYPE_CHECKING:
    import pandas as pd


class Champion(Protocol):
    """The version in production, as the registry loads it."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def candidate(self) -> str:
        """Name of its candidate."""

    @property
    def signature(self) -> dict[str, Any]:
        """Its inputs and its output."""

    @property
    def estimator(self) -> Any:
        """The fitted object."""

    @property
    def format(self) -> str:
        """``sklearn`` or ``spark``."""

    @property
    def trained_until(self) -> str | None:
        """ISO time of its newest training row."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and perhaps ``probability_<class>``."""


@dataclass(frozen=True)
class GateResult:
    """The result of a gate."""

    gate: str
    passed: bool
    figures: Mapping[str, Any]
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the ledger stores it."""
        return {"gate": self.gate, "passed": self.passed, "figures": dict(self.figures), "message": self.message}


@dataclass(frozen=True)
class Evidence:
    """What gates judge by: the evaluations of one training, and the version in production."""

    model: Model
    rows: Rows
    stretches: Sequence[Fold]
    evaluated: Mapping[str, Evaluation]
    chosen: Result
    champion: Champion | None


def check_gates(model: Model, columns: Sequence[str]) -> None:
    """Raise where a gate names a candidate, metric or column that does not exist. This costs nothing, so it comes first."""
    for gate in model.gates:
        if isinstance(gate, Beats) and gate.candidate not in (*model.candidates, NAME):
            raise DeclarationProblem(
                f"Model '{model.name}' is to beat the candidate '{gate.candidate}', which it does not have.",
                nearest=nearest(gate.candidate, model.candidates), where=str(model.where or ""), candidate=gate.candidate,
            )  # fmt: skip
        if isinstance(gate, Limit):
            known_metric(model, gate.metric)
        if isinstance(gate, Parity) and gate.column not in columns:
            raise DeclarationProblem(
                f"Model '{model.name}' is to treat the groups of '{gate.column}' alike, which its features do not have.",
                nearest=nearest(gate.column, columns), fix="Give it in the features' keep=[...].", where=str(model.where or ""),
                column=gate.column,
            )  # fmt: skip
        if gate.kind not in _JUDGES:
            raise DeclarationProblem(
                f"Model '{model.name}' has a gate of unknown kind '{gate.kind}'.", nearest=nearest(gate.kind, _JUDGES)
            )


def judge(evidence: Evidence) -> tuple[GateResult, ...]:
    """Return the result of every gate of the model, in the order of declaration."""
    return tuple(_JUDGES[gate.kind](gate, evidence) for gate in evidence.model.gates)


def _beats_baseline(gate: BeatsBaseline, evidence: Evidence) -> GateResult:
    return _against(gate.kind, NAME, gate.margin, evidence)


def _beats(gate: Beats, evidence: Evidence) -> GateResult:
    return _against(f"beats({gate.candidate})", gate.candidate, gate.margin, evidence)


def _against(gate: str, other: str, margin: float, evidence: Evidence) -> GateResult:
    metric, chosen, reference = evidence.model.metric, evidence.chosen, evidence.evaluated[other].result
    if reference.score is None or chosen.score is None:
        return GateResult(gate, False, {"metric": metric}, f"{other} gave no score to compare with: {reference.error}.")
    gained = gain(metric, chosen.score, reference.score)
    passed = gained > 0 if margin == 0 else gained >= margin
    figures = {"metric": metric, "score": chosen.score, "reference": reference.score, "gain": gained, "margin": margin}
    margin_text = f", {margin:.1%} asked" if margin else ""
    return GateResult(
        gate, passed, figures,
        f"{chosen.name} {chosen.score:.4g} against {other} {reference.score:.4g} {metric}: {_share(gained)}{margin_text}.",
    )  # fmt: skip


def _limit(gate: Limit, evidence: Evidence) -> GateResult:
    value = evidence.chosen.metrics.get(gate.metric)
    lower = better(gate.metric) == "lower"
    name = f"limit({gate.metric})"
    figures = {"metric": gate.metric, "score": value, "limit": gate.limit}
    if value is None:
        return GateResult(name, False, figures, f"{evidence.chosen.name} has no {gate.metric} on these folds.")
    passed = value <= gate.limit if lower else value >= gate.limit
    return GateResult(
        name,
        passed,
        figures,
        f"{evidence.chosen.name} has {gate.metric} {value:.4g}; {'at most' if lower else 'at least'} {gate.limit:g} asked.",
    )


def _beats_champion(gate: BeatsChampion, evidence: Evidence) -> GateResult:
    """Compare with the champion on the newest test stretch, which the challenger was fitted without.

    A champion that was trained on rows of that stretch would win by memory: in that case its recipe is fitted anew to the challenger's
    training rows, and the two recipes are compared.
    """
    champion, model, rows = evidence.champion, evidence.model, evidence.rows
    if champion is None:
        return GateResult(gate.kind, True, {}, "There is no champion yet.")
    lacking = [input_["name"] for input_ in champion.signature["inputs"] if input_["name"] not in rows.frame.columns]
    if lacking:
        return GateResult(
            gate.kind, True, {"champion": champion.version, "lacking": lacking},
            f"Version {champion.version} cannot predict any more: the features no longer give {', '.join(lacking)}.",
        )  # fmt: skip
    fold = evidence.stretches[-1]
    test, actual = rows.frame.iloc[fold.test], rows.y.iloc[fold.test]
    try:
        prediction, how = _predict_champion(champion, evidence, fold, test)
    # The champion may be any kind of model; a person has to judge its fault.
    except Exception as raised:  # noqa: BLE001
        return GateResult(
            gate.kind,
            False,
            {"champion": champion.version},
            f"Version {champion.version} could not be compared: {type(raised).__name__}: {raised}",
        )
    champion_score = scores(model.task, actual, prediction, rows.classes)[model.metric]
    chosen_score = evidence.chosen.folds[-1][model.metric]
    figures = {
        "metric": model.metric,
        "champion": champion.version,
        "rows": len(test),
        "score": chosen_score,
        "reference": champion_score,
        "how": how,
    }
    if champion_score is None:
        return GateResult(gate.kind, True, figures, f"Version {champion.version} has no {model.metric} on the newest test stretch.")
    gained = gain(model.metric, chosen_score, champion_score)
    return GateResult(
        gate.kind, gained >= -gate.tolerance, {**figures, "gain": gained, "tolerance": gate.tolerance},
        f"{evidence.chosen.name} {chosen_score:.4g} against version {champion.version} ({champion.candidate}) {champion_score:.4g} {model.metric} on the newest "
        f"{len(test):,} rows, {how}: {_share(gained)}" + (f", {gate.tolerance:.1%} worse allowed." if gate.tolerance else "."),
    )  # fmt: skip


def _predict_champion(champion: Champion, evidence: Evidence, fold: Fold, test: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    answers = getattr(champion, "answers", True)  # False for one whose features are fitted differently now
    if answers and champion.trained_until is not None and not _may_have_seen(champion.trained_until, fold.cut):
        return champion.predict(test), "unseen by both"
    train = evidence.rows.frame.iloc[fold.train], evidence.rows.y.iloc[fold.train]
    if champion.format == "sklearn":
        # Its stored pipeline prepares the inputs itself, so it is fitted without further steps.
        recipe = ScikitCandidate(champion.estimator, champion.signature["inputs"], evidence.rows.classes, evidence.model.seed)
        why = "for it has seen these rows" if answers else "for its features are made otherwise now"
        return recipe.fit(*train).predict(test), f"its recipe fitted anew, {why}"
    evaluation = evidence.evaluated.get(champion.candidate)
    if evaluation is not None and evaluation.predictions:
        return evaluation.predictions[-1], "the candidate of its name fitted anew, for it has seen these rows"
    return champion.predict(test), "though it has seen these rows in training"


def _parity(gate: Parity, evidence: Evidence) -> GateResult:
    import numpy as np
    import pandas as pd

    model, rows = evidence.model, evidence.rows
    metric = error_metric(model.metric, model.task)
    name = f"parity({gate.column})"
    tested = np.concatenate([fold.test for fold in evidence.stretches])
    predicted = pd.concat(evidence.evaluated[evidence.chosen.name].predictions, ignore_index=True)
    actual = rows.y.iloc[tested].reset_index(drop=True)
    groups = rows.frame[gate.column].iloc[tested].reset_index(drop=True)
    errors: dict[str, float] = {}
    counts: dict[str, int] = {}
    small = 0
    for group, places in actual.groupby(groups, dropna=False, observed=True).groups.items():
        if len(places) < gate.min_rows:
            small += 1
            continue
        error = scores(model.task, actual.loc[places], predicted.loc[places], rows.classes)[metric]
        if error is not None:
            errors[str(group)], counts[str(group)] = error, len(places)
    figures: dict[str, Any] = {
        "metric": metric, "groups": errors, "rows": counts, "max_ratio": gate.max_ratio, "min_rows": gate.min_rows, "groups_left_out": small,
    }  # fmt: skip
    if len(errors) < 2:
        return GateResult(
            name, False, figures,
            f"{len(errors)} group{'' if len(errors) == 1 else 's'} of '{gate.column}' with at least {gate.min_rows} test rows: nothing to compare.",
        )  # fmt: skip
    worst, best = max(errors, key=lambda group_: errors[group_]), min(errors, key=lambda group_: errors[group_])
    ratio = errors[worst] / errors[best] if errors[best] else (1.0 if errors[worst] == 0 else None)
    shown = "no finite ratio" if ratio is None else f"ratio {ratio:.2f}"
    return GateResult(
        name, ratio is not None and ratio <= gate.max_ratio, {**figures, "worst": worst, "best": best, "ratio": ratio},
        f"{metric} {errors[worst]:.4g} for {worst}, {errors[best]:.4g} for {best}: {shown}, at most {gate.max_ratio:g} asked"
        + (f"; {small} groups under {gate.min_rows} rows left out." if small else "."),
    )  # fmt: skip


def _may_have_seen(trained_until: str, cut: pd.Timestamp) -> bool:
    import pandas as pd

    newest_row = pd.Timestamp(trained_until)
    if pd.isna(cut):  # rows without a time: any version trained before may have seen them
        return True
    if (newest_row.tz is None) != (cut.tz is None):  # the features changed their kind of time: assume that it has seen them
        return True
    return bool(newest_row > cut)


def _share(gained: float) -> str:
    return "equal" if gained == 0 else f"{abs(gained):.1%} {'better' if gained > 0 else 'worse'}"


_JUDGES: Mapping[str, Callable[[Any, Evidence], GateResult]] = {
    BeatsBaseline.kind: _beats_baseline,
    BeatsChampion.kind: _beats_champion,
    Beats.kind: _beats,
    Limit.kind: _limit,
    Parity.kind: _parity,
}
