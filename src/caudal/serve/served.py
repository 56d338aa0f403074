"""A champion in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from caudal.errors import CaudalError
from caudal.ledger.rows import DecisionRow
from caudal.serve.input_watch import LearnedInputs
from caudal.serve.inputs import input_model
from caudal.serve.signature import Signature, read_signature

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.signature import RowPredictions, SignatureDocument


class PredictingModel(Protocol):
    """The registry's model: a version that predicts from rows, and from frames where contributions are asked for."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def candidate(self) -> str:
        """Name of the candidate."""

    @property
    def signature(self) -> SignatureDocument:
        """Its inputs and outputs."""

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> RowPredictions:
        """Return the prediction of each row, and the probabilities of each class."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` (and ``probability_<class>``) for each row of the frame."""


class NoChampion(CaudalError):
    """The model is known, but no version of it can be served now."""

    exit_code = 8


@dataclass(frozen=True)
class Served:
    """A champion in memory. It never changes; a promotion replaces it by another."""

    product: str
    model: str
    decision: DecisionRow
    loaded: PredictingModel

    @property
    def version(self) -> int:
        """The version in production."""
        return self.loaded.version

    @property
    def title(self) -> str:
        """The prefix of its OpenAPI schemas' names."""
        return f"{self.product}.{self.model}"

    @cached_property
    def signature(self) -> Signature:
        """The model's inputs and outputs."""
        return read_signature(self.loaded.signature)

    @cached_property
    def learned(self) -> LearnedInputs:
        """What the version has learned of its inputs."""
        return LearnedInputs.of(self.loaded.signature)

    @cached_property
    def inputs(self) -> type[BaseModel]:
        """The pydantic model that validates its rows."""
        return input_model(self.signature, f"{self.title}.Inputs")
