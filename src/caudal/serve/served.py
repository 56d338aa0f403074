"""A champion in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from caudal.errors import CaudalError
from caudal.ledger.rows import DecisionRow
from caudal.serve.inputs import model_of
from caudal.serve.signature import Signature, read_signature

if TYPE_CHECKING:
    import pandas as pd


class LoadedModel(Protocol):
    """What the registry gives: a version that predicts from a frame."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def candidate(self) -> str:
        """Name of the candidate it is."""

    @property
    def signature(self) -> dict[str, Any]:
        """What it takes and gives."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` (and ``probability_<class>``) for each row of the frame."""


class NoChampion(CaudalError):
    """The model is known, but no version of it can be served now."""

    exit_code = 8


@dataclass(frozen=True)
class Served:
    """A champion in memory. It never changes; a promotion puts another one in its place."""

    product: str
    model: str
    decision: DecisionRow
    loaded: LoadedModel

    @property
    def version(self) -> int:
        """The version in production."""
        return self.loaded.version

    @property
    def title(self) -> str:
        """The name that its OpenAPI schemas begin with."""
        return f"{self.product}.{self.model}"

    @cached_property
    def signature(self) -> Signature:
        """What the model takes and gives."""
        return read_signature(self.loaded.signature)

    @cached_property
    def inputs(self) -> type[BaseModel]:
        """The gate that its rows pass."""
        return model_of(self.signature, f"{self.title}.Inputs")
