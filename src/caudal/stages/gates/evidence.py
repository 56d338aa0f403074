"""What every gate is, what it judges by and what it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from caudal.declarations.model import Gate, Model

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.signature import SignatureDocument
    from caudal.stages.train.evaluate import Evaluation, Result
    from caudal.stages.train.rows import Rows
    from caudal.stages.train.split import Fold


class Champion(Protocol):
    """The version in production, as the registry loads it."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def candidate(self) -> str:
        """Name of its candidate."""

    @property
    def signature(self) -> SignatureDocument:
        """Its inputs and its output."""

    @property
    def estimator(self) -> object:
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
    figures: Mapping[str, object]
    message: str

    def as_dict(self) -> dict[str, object]:
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


@dataclass(frozen=True)
class JudgingGate(Gate, ABC):
    """A gate: a frozen dataclass of what is declared, with its ``kind`` and its judgement, beside the function that products call.

    What it names in ``metrics``, ``candidates`` and ``columns`` is held to what there is before anything is trained.
    """

    @abstractmethod
    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether the chosen candidate may be promoted, with the figures and a sentence."""


def share(gained: float) -> str:
    """Return by how much something is better, in words.

    Examples
    --------
    >>> share(-0.25)
    '25.0% worse'
    """
    return "equal" if gained == 0 else f"{abs(gained):.1%} {'better' if gained > 0 else 'worse'}"
