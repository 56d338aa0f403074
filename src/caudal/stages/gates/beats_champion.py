"""The gate: not worse than what is in production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.gates.evidence import Champion, Evidence, GateResult, JudgingGate, share
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
        """The champion is loaded to be compared with."""
        return True

    def judge(self, evidence: Evidence) -> GateResult:
        """Compare on the newest test stretch, which the challenger was fitted without.

        A champion that was trained on rows of that stretch would win by memory: then its recipe is fitted anew to the rows that the
        challenger had, and the two recipes are compared.
        """
        champion, model, rows = evidence.champion, evidence.model, evidence.rows
        if champion is None:
            return GateResult(self.kind, True, {}, "There is no champion yet.")
        lacking = [input_["name"] for input_ in champion.signature["inputs"] if input_["name"] not in rows.frame.columns]
        if lacking:
            return GateResult(
                self.kind, True, {"champion": champion.version, "lacking": lacking},
                f"Version {champion.version} cannot predict any more: the features no longer give {', '.join(lacking)}.",
            )  # fmt: skip
        fold = evidence.stretches[-1]
        test, actual = rows.frame.iloc[fold.test], rows.y.iloc[fold.test]
        try:
            said, how = _champion_says(champion, evidence, fold, test)
        # The champion may be of any make; a fault of it is for a person to judge.
        except Exception as raised:  # noqa: BLE001
            return GateResult(
                self.kind,
                False,
                {"champion": champion.version},
                f"Version {champion.version} could not be compared: {type(raised).__name__}: {raised}",
            )
        theirs = scores(model.task, actual, said, rows.classes)[model.metric]
        mine = evidence.chosen.folds[-1][model.metric]
        figures = {
            "metric": model.metric,
            "champion": champion.version,
            "rows": len(test),
            "score": mine,
            "reference": theirs,
            "how": how,
        }
        if theirs is None:
            return GateResult(
                self.kind, True, figures, f"Version {champion.version} has no {model.metric} on the newest test stretch."
            )
        gained = gain(model.metric, mine, theirs)
        return GateResult(
            self.kind, gained >= -self.tolerance, {**figures, "gain": gained, "tolerance": self.tolerance},
            f"{evidence.chosen.name} {mine:.4g} against version {champion.version} ({champion.candidate}) {theirs:.4g} {model.metric} on the newest "
            f"{len(test):,} rows, {how}: {share(gained)}" + (f", {self.tolerance:.1%} worse allowed." if self.tolerance else "."),
        )  # fmt: skip


def beats_champion(tolerance: float = 0.0) -> BeatsChampion:
    """Return the gate: not worse than what is in production."""
    return BeatsChampion(tolerance)


def _champion_says(champion: Champion, evidence: Evidence, fold: Fold, test: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    answers = getattr(champion, "answers", True)  # one whose features are fitted otherwise now may not
    if answers and champion.trained_until is not None and not _after(champion.trained_until, fold.cut):
        return champion.predict(test), "unseen by both"
    train = evidence.rows.frame.iloc[fold.train], evidence.rows.y.iloc[fold.train]
    if champion.format == "sklearn":
        from caudal.stages.train.scikit import ScikitCandidate

        # Its stored pipeline prepares the inputs itself, so it is fitted as it is.
        recipe = ScikitCandidate(champion.estimator, champion.signature["inputs"], evidence.rows.classes, evidence.model.seed)
        why = "for it has seen these rows" if answers else "for its features are made otherwise now"
        return recipe.fit(*train).predict(test), f"its recipe fitted anew, {why}"
    same = evidence.evaluated.get(champion.candidate)
    if same is not None and same.said:
        return same.said[-1], "the candidate of its name fitted anew, for it has seen these rows"
    return champion.predict(test), "though it has seen these rows in training"


def _after(trained_until: str, cut: pd.Timestamp) -> bool:
    import pandas as pd

    seen = pd.Timestamp(trained_until)
    if pd.isna(cut):  # rows without a time: whatever was trained before may have seen them
        return True
    if (seen.tz is None) != (cut.tz is None):  # the features changed their kind of time: taken as seen
        return True
    return bool(seen > cut)
