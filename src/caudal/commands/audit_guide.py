"""``caudal audit guide``: the fairness metric that fits what a prediction is used for, after the fairness tree of Aequitas.

Saleiro et al. 2018, "Aequitas: A Bias and Fairness Audit Toolkit", arXiv:1811.05577, figure 2; Rodolfa, Saleiro, Ghani 2020, "Bias and fairness", in
"Big Data and Social Science", chapter 11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from caudal.errors import DeclarationProblem

if TYPE_CHECKING:
    from caudal.report.documents import GuideDocument

Use = Literal["punitive", "assistive"]
Whom = Literal["everyone", "affected", "needing", "not-needing"]


@dataclass(frozen=True)
class Advice:
    """What the guide says at the end of a way through its questions."""

    metric: str
    title: str
    why: str
    limit: str = "at_most=0.1"


# By use of the prediction, whether the resource is limited, and to whom it is to be fair.
ADVICE: dict[tuple[Use, bool, Whom], Advice] = {
    ("punitive", False, "affected"): Advice(
        "false_discovery_rate", "False discovery rate parity",
        "Of those who are punished, the same share of each group is punished wrongly.",
    ),
    ("punitive", False, "not-needing"): Advice(
        "fpr", "False positive rate parity",
        "Of those who do not deserve it, the same share of each group is punished.",
    ),
    ("punitive", False, "needing"): Advice(
        "tpr", "Recall parity", "Of those who deserve it, the same share of each group is found.",
    ),
    ("punitive", True, "affected"): Advice(
        "false_discovery_rate", "False discovery rate parity",
        "Few can be punished: of those who are, the same share of each group is punished wrongly.",
    ),
    ("punitive", True, "not-needing"): Advice(
        "fpr", "False positive rate parity",
        "Few can be punished: of those who do not deserve it, the same share of each group is.",
    ),
    ("punitive", True, "needing"): Advice(
        "tpr", "Recall parity", "Few can be found: of those who deserve it, the same share of each group is found.",
    ),
    ("assistive", False, "affected"): Advice(
        "false_omission_rate", "False omission rate parity",
        "Of those who get no help, the same share of each group would have needed it.",
    ),
    ("assistive", False, "needing"): Advice(
        "fnr", "False negative rate parity", "Of those who need help, the same share of each group is left without.",
    ),
    ("assistive", False, "not-needing"): Advice(
        "fpr", "False positive rate parity", "Of those who need no help, the same share of each group gets it.",
    ),
    ("assistive", True, "affected"): Advice(
        "false_omission_rate", "False omission rate parity",
        "Few can be helped: of those who get no help, the same share of each group would have needed it.",
    ),
    ("assistive", True, "needing"): Advice(
        "tpr", "Recall parity (equal opportunity)",
        "Few can be helped, so that most who need help stay without: of those who need it, the same share of each group is reached.",
    ),
    ("assistive", True, "not-needing"): Advice(
        "fpr", "False positive rate parity", "Few can be helped: of those who need no help, the same share of each group takes it.",
    ),
    **{
        (use, limited, "everyone"): Advice(
            "demographic_parity_ratio", "Demographic parity (four-fifths rule)",
            f"Whatever the labels say, the same share of each group is {'punished' if use == 'punitive' else 'helped'}; take this where the labels "
            "themselves are in doubt, or the law asks for it.", "at_least=0.8",
        )
        for use in ("punitive", "assistive") for limited in (False, True)
    },
}  # fmt: skip

QUESTIONS = {
    "use": "Does a positive prediction harm the person (punitive) or help (assistive)?",
    "limited": "Can only few of those who are predicted positive be acted on (a limited resource)?",
    "whom": "To whom is it to be fair: everyone whatever the label, the people affected by wrong decisions, those who need (deserve) it, or those who do not?",
}


def guide(use: Use, limited: bool, whom: Whom, *, model: str = "model", by: str = "sex") -> GuideDocument:
    """Return the metric that fits, the reason, and the line that declares it.

    Examples
    --------
    >>> guide("punitive", False, "not-needing")["metric"]
    'fpr'
    """
    try:
        advice = ADVICE[use, limited, whom]
    except KeyError:
        raise DeclarationProblem(
            f"The guide knows no answer for {use}, {whom}.",
            fix="Answer punitive or assistive, and everyone, affected, needing or not-needing.",
        ) from None
    return {
        "metric": advice.metric,
        "title": advice.title,
        "why": advice.why,
        "line": f'gates=[cd.fair("{advice.metric}", by="{by}", {advice.limit})]',
        "answers": {"use": use, "limited": "yes" if limited else "no", "whom": whom},
    }
