"""What was seen of versions in a trial, side by side, and whether it is enough to promote one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypedDict

from caudal.declarations.trial import ROW, TrialLimits
from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import Decision, DecisionRow, GateDocument, ModelVersionRow
from caudal.ledger.trials import CHAMPION, SHADOW, TrialTally, open_trial, seconds_within, tallies_of
from caudal.registry.load import version_row

GATE = "trial"


class NotPassed(CaudalError):
    """What was seen of a version in its trial is not enough to promote it."""

    exit_code = 5


class SeenDocument(TypedDict):
    """What was seen of one version in a trial.

    ``mean`` is that of its predictions, if they are numbers; ``classes`` their shares, if they are classes; ``p50_s`` and ``p95_s`` are the seconds for a
    row that half, and 95 %, of the timed predictions did not exceed, to a tenth. In shadow, of the ``compared`` rows, from which both versions have
    predicted, ``equal_share`` is the share with the same prediction and ``difference`` the mean absolute difference; ``dropped`` rows were left out because
    too many waited.
    """

    version: int
    role: str
    rows: int
    errors: int
    error_rate: float | None
    mean: float | None
    classes: dict[str, float] | None
    p50_s: float | None
    p95_s: float | None
    compared: int | None
    equal_share: float | None
    difference: float | None
    dropped: int | None


class TrialSeenDocument(TypedDict):
    """What was seen of both versions while one was tried beside the other: since ``at``, in shadow or for a share of the keys ``by``.

    ``gate`` is the verdict of the version's gate; null where it has none, or too few rows were seen to say.
    """

    decision: Decision
    version: int
    share: float
    by: str
    at: float
    who: str
    reason: str | None
    is_open: bool
    seen: list[SeenDocument]
    gate: GateDocument | None


def seen_document(version: int, role: str, tally: TrialTally) -> SeenDocument:
    """Return what a tally says."""
    predicted, of_classes = tally.rows - tally.errors, bool(tally.classes)
    compared = tally.compared if role == SHADOW else None
    return {
        "version": version,
        "role": role,
        "rows": tally.rows,
        "errors": tally.errors,
        "error_rate": tally.errors / tally.rows if tally.rows else None,
        "mean": tally.total / predicted if predicted and not of_classes else None,
        "classes": {label: count / predicted for label, count in sorted(tally.classes.items())} if of_classes else None,
        "p50_s": seconds_within(tally.seconds, 0.5),
        "p95_s": seconds_within(tally.seconds, 0.95),
        "compared": compared,
        "equal_share": tally.equal / compared if compared else None,
        "difference": tally.difference / compared if compared and not of_classes else None,
        "dropped": tally.dropped if role == SHADOW else None,
    }


def seen_in(ledger: Ledger, decision: DecisionRow) -> list[SeenDocument]:
    """Return what was seen of both versions in the trial that a decision has begun: the champion first."""
    tallies = tallies_of(ledger, decision)
    seen = [seen_document(key.version, key.role, tally) for key, tally in tallies.items()]
    return sorted(seen, key=lambda each: (each["role"] != CHAMPION, each["version"]))


def trial_document(ledger: Ledger, decision: DecisionRow) -> TrialSeenDocument:
    """Return a trial with what was seen of both versions, and the verdict of the gate of the one that was tried."""
    seen = seen_in(ledger, decision)
    limits = trial_limits(version_row(ledger, decision["product"], decision["model"], decision["version"]))
    current = open_trial(ledger, decision["product"], decision["model"])
    of_trial = decision["trial"] or {"share": 0.0, "by": ROW}
    return {
        "decision": decision["decision"], "version": decision["version"], **of_trial, "at": decision["at"], "who": decision["who"],
        "reason": decision["reason"], "is_open": current is not None and current["id"] == decision["id"], "seen": seen,
        "gate": None if limits is None else judge_trial(limits, seen),
    }  # fmt: skip


def trial_limits(row: ModelVersionRow) -> TrialLimits | None:
    """Return what a version has to show in a trial, by the gates that were declared when it was trained; None where they ask for none."""
    for gate in row["gates"] or ():
        if is_of_trial(gate):
            figures: Any = gate["figures"]
            return TrialLimits.of(figures[GATE])
    return None


def is_of_trial(gate: Mapping[str, Any]) -> bool:
    """Return whether a gate is judged by a trial, and not when a version is trained."""
    return isinstance(gate["figures"], Mapping) and GATE in gate["figures"]


def judge_trial(limits: TrialLimits, seen: Sequence[SeenDocument]) -> GateDocument | None:
    """Return whether a version has shown enough in its trial to be promoted; None where too few rows were seen to say."""
    challenger = next((each for each in seen if each["role"] != CHAMPION), None)
    champion = next((each for each in seen if each["role"] == CHAMPION), None)
    if challenger is None or champion is None or rows_seen(seen) < limits.min_rows:
        return None
    slowdown = challenger["p50_s"] / champion["p50_s"] if challenger["p50_s"] and champion["p50_s"] else None
    told, broken = [f"{challenger['rows']:,} rows in {challenger['role']}"], list[str]()
    for name, value, limit in (
        ("error rate", challenger["error_rate"], limits.max_error_rate), ("mean difference", challenger["difference"], limits.max_difference),
        ("slowdown", slowdown, limits.max_slowdown),
    ):  # fmt: skip
        if limit is None:
            continue
        sentence = f"{name} {'unknown' if value is None else f'{value:.4g}'}, at most {limit:g} allowed"
        (told if value is not None and value <= limit else broken).append(sentence)
    if limits.min_agreement is not None:
        share = challenger["equal_share"]
        sentence = f"agreement {'unknown' if share is None else f'{share:.4g}'}, at least {limits.min_agreement:g} required"
        (told if share is not None and share >= limits.min_agreement else broken).append(sentence)
    figures: Any = {
        "champion": champion["version"], "rows": challenger["rows"], "error_rate": challenger["error_rate"], "difference": challenger["difference"],
        "agreement": challenger["equal_share"], "slowdown": slowdown, "limits": limits.as_dict(),
    }  # fmt: skip
    return {"gate": GATE, "passed": not broken, "figures": figures, "message": "; ".join([*broken, *told]) + "."}


def rows_seen(seen: Sequence[SeenDocument]) -> int:
    """Return the number of rows that count: of a trial in shadow those that were compared or failed at, of a canary those that it answered."""
    return min((each["rows"] for each in seen), default=0) if len(seen) > 1 else 0


def require_passed(limits: TrialLimits, decision: DecisionRow, seen: Sequence[SeenDocument]) -> GateDocument:
    """Return the verdict of a trial.

    Raises
    ------
    NotPassed : too few rows were seen, or a limit is broken
    """
    verdict = judge_trial(limits, seen)
    name = f"Version {decision['version']} of '{decision['model']}'"
    if verdict is None:
        raise NotPassed(
            f"{name} was seen in {rows_seen(seen):,} of {limits.min_rows:,} rows in its trial.",
            fix="Wait for more; servers write what they have seen once a minute.",
        )
    if not verdict["passed"]:
        raise NotPassed(
            f"{name} has not passed its trial: {verdict['message']}",
            fix=f"End it: `caudal model withdraw {decision['model']} --product {decision['product']}`.",
        )
    return verdict
