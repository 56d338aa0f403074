"""``beats_champion``: the new version is not worse than the version in production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.declarations.estimator import Estimator
from caudal.stages.gates.evidence import Champion, Evidence, GateResult, JudgingGate, gain_words, percent
from caudal.stages.metrics.scores import gain, scores

if TYPE_CHECKING:
    import pandas as pd

    from caudal.stages.train.split import Fold


@dataclass(frozen=True)
class BeatsChampion(JudgingGate):
    """On the newest test stretch the new version is not worse than the champion by more than ``tolerance`` (a share)."""

    tolerance: float = 0.0
    kind: ClassVar[str] = "beats_champion"

    @property
    def asks_champion(self) -> bool:
        """Return True: the champion is loaded, to be compared with."""
        return True

    def judge(self, evidence: Evidence) -> GateResult:
        """Return the comparison with the champion on the newest test stretch, which the challenger was not fitted to.

        A champion that was trained on rows of that stretch would have an unfair advantage: in that case its recipe is fitted anew to the
        challenger's training rows, and the two recipes are compared.
        """
        champion, model, rows = evidence.champion, evidence.model, evidence.rows
        if champion is None:
            return GateResult(self.kind, True, {}, "There is no champion yet.")
        lacking = [input_["name"] for input_ in champion.signature["inputs"] if input_["name"] not in rows.frame.columns]
        if lacking:
            return GateResult(
                self.kind, True, {"champion": champion.version, "lacking": lacking},
                f"Version {champion.version} cannot predict any more: the features no longer have {', '.join(lacking)}.",
            )  # fmt: skip
        fold = evidence.stretches[-1]
        test, actual = rows.frame.iloc[fold.test], rows.y.iloc[fold.test]
        try:
            prediction, how = _predict_champion(champion, evidence, fold, test)
        # The champion may be any kind of model and may raise any error; a person has to judge it.
        except Exception as raised:  # noqa: BLE001
            return GateResult(
                self.kind,
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
            return GateResult(
                self.kind, True, figures, f"Version {champion.version} has no {model.metric} on the newest test stretch."
            )
        gained = gain(model.metric, chosen_score, champion_score)
        return GateResult(
            self.kind, gained >= -self.tolerance, {**figures, "gain": gained, "tolerance": self.tolerance},
            f"{evidence.chosen.name} {chosen_score:.4g} against version {champion.version} ({champion.candidate}) {champion_score:.4g} {model.metric} on the newest "
            f"{len(test):,} rows, {how}: {gain_words(gained, -self.tolerance)}" + (f", {percent(self.tolerance)} worse allowed." if self.tolerance else "."),
        )  # fmt: skip


def beats_champion(tolerance: float = 0.0) -> BeatsChampion:
    """Return a gate that passes where the new version is at most ``tolerance`` (a share) worse than the version in production."""
    return BeatsChampion(tolerance)


def _predict_champion(champion: Champion, evidence: Evidence, fold: Fold, test: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    is_usable = getattr(champion, "answers", True)  # False for a champion whose features are fitted differently now
    if is_usable and champion.trained_until is not None and not _may_be_trained_on(champion.trained_until, fold.cut):
        return champion.predict(test), "unseen by both"
    train = evidence.rows.frame.iloc[fold.train], evidence.rows.y.iloc[fold.train]
    if champion.format == "sklearn" and isinstance(champion.estimator, Estimator):
        from caudal.stages.train.scikit import ScikitCandidate

        # Its stored pipeline prepares the inputs itself, so it is fitted without further steps.
        recipe = ScikitCandidate(champion.estimator, champion.signature["inputs"], evidence.rows.classes, evidence.model.seed)
        reason = "because it was trained on these rows" if is_usable else "because its features are computed differently now"
        return recipe.fit(*train).predict(test), f"its recipe fitted anew, {reason}"
    evaluation = evidence.evaluated.get(champion.candidate)
    if evaluation is not None and evaluation.predictions:
        return evaluation.predictions[-1], "the candidate of its name fitted anew, because it was trained on these rows"
    return champion.predict(test), "although it was trained on these rows"


def _may_be_trained_on(trained_until: str, cut: pd.Timestamp) -> bool:
    import pandas as pd

    newest_row = pd.Timestamp(trained_until)
    if pd.isna(cut):  # rows without a time: any earlier version may have been trained on them
        return True
    if (newest_row.tz is None) != (cut.tz is None):  # the features changed their kind of time: assume that it was trained on them
        return True
    return bool(newest_row > cut)
