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
from caudal.serve.inputs import MOST_PROBLEMS, Row, input_model, validate_row
from caudal.serve.lookup import Lookups
from caudal.serve.signature import Signature, read_signature
from caudal.tables.online import OnlineView

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.signature import RowPredictions, SignatureDocument
    from caudal.serve.trial import Trial


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
    """A champion in memory, with the online view of its features and the version on trial, if it has them.

    It never changes; a promotion, a new view or a trial replaces it by another.
    """

    product: str
    model: str
    decision: DecisionRow
    loaded: PredictingModel
    view: OnlineView | None = None
    trial: Trial | None = None

    @property
    def version(self) -> int:
        """The version in production."""
        return self.loaded.version

    @property
    def title(self) -> str:
        """Its name in logs."""
        return f"{self.product}.{self.model}"

    def schema_name(self, of: str) -> str:
        """Return the name of one of its OpenAPI schemas; without dots, behind the last of which Pydantic would cut it where another schema names it."""
        return f"{self.product}-{self.model}-{of}"

    @cached_property
    def signature(self) -> Signature:
        """The model's inputs and outputs."""
        return read_signature(self.loaded.signature)

    @cached_property
    def lookups(self) -> Lookups | None:
        """What the server finds in the view; None without a view."""
        return None if self.view is None else Lookups(self.signature, self.view)

    @property
    def view_state(self) -> object:
        """By what its view is told from others."""
        return None if self.view is None else self.view.state

    @property
    def asked(self) -> Signature:
        """What callers are asked for: the model's inputs, or those by which the server finds the others."""
        return self.signature if self.lookups is None else self.lookups.asked

    @cached_property
    def asked_names(self) -> tuple[str, ...]:
        """The names of what callers are asked for, in alphabetical order."""
        return tuple(sorted(self.asked.by_name))

    @cached_property
    def learned(self) -> LearnedInputs:
        """What the version has learned of its inputs."""
        return LearnedInputs.of(self.loaded.signature)

    @cached_property
    def inputs(self) -> type[BaseModel]:
        """The pydantic model that validates what callers send."""
        return input_model(self.asked, self.schema_name("Inputs"))

    @cached_property
    def own_inputs(self) -> type[BaseModel]:
        """The pydantic model that validates rows of the model itself."""
        return self.inputs if self.lookups is None else input_model(self.signature, self.schema_name("OwnInputs"))

    def row(self, sent: object, most: int = MOST_PROBLEMS, *, may_wait: bool = True) -> Row:
        """Return the model's row from what a caller sent, with what the server has found, or what is wrong.

        Parameters
        ----------
        may_wait : whether another machine may be waited for

        Raises
        ------
        NotKept : it would have to be waited for
        """
        row = validate_row(sent, self.asked, self.inputs, most)
        return row if self.lookups is None or not row.good else self.lookups.row(row, may_wait=may_wait)
