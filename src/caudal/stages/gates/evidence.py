"""The base class of gates, the evidence that they judge by and their results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from caudal.declarations.model import Gate, Model

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from caudal.declarations.signature import SignatureDocument
    from caudal.stages.train.evaluate import EvaluatedCandidate, Evaluation
    from caudal.stages.train.rows import LabelledRows
    from caudal.stages.train.split import Fold


class Champion(Protocol):
    """The version in production, as the registry loads it."""

    @property
    def version(self) -> int:
        """Return its number."""

    @property
    def candidate(self) -> str:
        """Return the name of its candidate."""

    @property
    def signature(self) -> SignatureDocument:
        """Return its inputs and its output."""

    @property
    def estimator(self) -> object:
        """Return the fitted object."""

    @property
    def format(self) -> str:
        """Return ``sklearn`` or ``spark``."""

    @property
    def trained_until(self) -> str | None:
        """Return the ISO time of its newest training row."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and perhaps ``probability_<class>``."""


@dataclass(frozen=True)
class GateResult:
    """The result of a gate."""

    gate: str
    passed: bool
    figures: Mapping[str, object]
    message: str

    def as_dict(self) -> dict[str, object]:
        """Return the result as the ledger stores it."""
        return {"gate": self.gate, "passed": self.passed, "figures": dict(self.figures), "message": self.message}


@dataclass(frozen=True)
class Evidence:
    """The evaluations of one training and the version in production, by which gates judge."""

    model: Model
    rows: LabelledRows
    stretches: Sequence[Fold]
    evaluated: Mapping[str, Evaluation]
    chosen: EvaluatedCandidate
    champion: Champion | None

    @property
    def tested(self) -> np.ndarray:
        """Return the places of the test rows of all folds, fold by fold."""
        import numpy as np

        return np.concatenate([fold.test for fold in self.stretches])

    def predicted(self, candidate: str) -> pd.DataFrame:
        """Return a candidate's predictions of the test rows of all folds, in the order of ``tested``; none was fitted to the rows that it predicts."""
        import pandas as pd

        return pd.concat(self.evaluated[candidate].predictions, ignore_index=True)


@dataclass(frozen=True)
class JudgingGate(Gate, ABC):
    """The base class of gates: a frozen dataclass of the declared values, with a ``kind`` and a judgement; products call the function in the same file.

    Before anything is trained, a check proves that the names in ``metrics``, ``candidates`` and ``columns`` exist.
    """

    @abstractmethod
    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether the chosen candidate may be promoted, with the figures and a sentence."""


def text_beside(value: float, limit: float, form: str = ".4g") -> str:
    """Return a figure as text on the same side of its limit as the figure: with as many digits more as that takes.

    Examples
    --------
    >>> text_beside(0.6123, 0.5), text_beside(0.50001, 0.5), text_beside(0.5, 0.5), text_beside(1.2504, 1.25, ".2f")
    ('0.6123', '0.50001', '0.5', '1.2504')
    """
    for digits in (form, *(f".{number}g" for number in range(5, 17))):
        text = f"{value:{digits}}"
        if (float(text) > limit, float(text) < limit) == (value > limit, value < limit):
            return text
    return repr(float(value))


def gain_words(gained: float, required: float = 0.0) -> str:
    """Return a gain as words: by which share something is better or worse, told apart from the gain that is required.

    Examples
    --------
    >>> gain_words(-0.25), gain_words(180.6), gain_words(0.0996, 0.1), gain_words(-0.05001, -0.05)
    ('25.0% worse', '182 times as good', '9.96% better', '5.001% worse')
    """
    if gained >= 10:  # beside a reference near nought a percentage says nothing
        return f"{1 + gained:.0f} times as good"
    if gained == 0:
        return "equal"
    # Rounded, since 100 times a share is not its percentage to the last digit.
    share, limit = round(100 * abs(gained), 12), round(100 * abs(required), 12)
    return f"{text_beside(share, limit, '.1f')}% {'better' if gained > 0 else 'worse'}"


def percent(share: float) -> str:
    """Return a share that somebody has chosen as a percentage, with all of its digits.

    Examples
    --------
    >>> percent(0.1), percent(0.0125)
    ('10.0%', '1.25%')
    """
    value = round(100 * share, 12)
    return f"{value:.1f}%" if value == round(value, 1) else f"{value:.12g}%"
