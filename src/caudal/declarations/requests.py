"""The declaration of a source whose rows are the requests that servers of a model of the same product have answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from caudal.declarations.connection import UNDESCRIBED, Connection
from caudal.declarations.duration import seconds
from caudal.declarations.location import caller
from caudal.declarations.model import Model
from caudal.declarations.schema import Field, Schema
from caudal.errors import DeclarationProblem

REQUESTED_AT = "requested_at"
REQUEST = Schema(
    (
        Field("request_id", "string", nullable=False),
        Field("row", "int", nullable=False, description="its place in the request, from 0"),
        Field(REQUESTED_AT, "timestamp_utc", nullable=False, description="when it was answered"),
        Field("product", "string", nullable=False),
        Field("model", "string", nullable=False),
        Field("version", "int", nullable=False),
        Field("caller", "string", description="the name of the caller's key"),
        Field("sample", "double", nullable=False, description="the share of requests that was logged: a row stands for 1 / sample"),
        Field("prediction", "double", description="what a regression predicted"),
        Field("predicted_class", "string", description="what a classifier predicted"),
        Field("warnings", "int", nullable=False, description="inputs outside of what the model was trained on"),
        Field("looked_up", "array<string>", nullable=False, description="inputs that the server found itself"),
        Field("not_found", "array<string>", nullable=False, description="inputs that it looked for and did not find"),
    )
)
"""The columns that every row has, beside those of the model's inputs and probabilities."""


@dataclass(frozen=True)
class Requests(Connection):
    """The requests for predictions that servers of a home have answered, each row of a batch as a row.

    Parameters
    ----------
    model : name of the model, of the same product
    sample : share of the requests that servers log
    keep_s : float, optional, raw files whose newest row is older are removed by ``caudal retain``; None: kept for ever
    schema : the declared inputs
    folder : the folder in which servers write, where it is known
    """

    model: str
    sample: float = field(default=1.0, metadata=UNDESCRIBED)
    keep_s: float | None = field(default=None, metadata=UNDESCRIBED)
    schema: Schema | None = None
    folder: str | None = field(default=None, metadata=UNDESCRIBED)
    kind: ClassVar[str] = "requests"
    changed: ClassVar[str] = "set"
    format: ClassVar[str] = "parquet"
    options: ClassVar[Mapping[str, object]] = {}

    def row_schema(self, declared: Schema | None) -> Schema:
        """Return the columns of a request with the declared inputs, none of which a row must have: versions of a model take different inputs."""
        columns = tuple(replace(column, required=False) for column in declared or () if column.name not in REQUEST)
        return Schema((*REQUEST, *columns), declared is None or declared.open)


def requests(model: Model | str, *, sample: float = 1.0, keep: str | float | None = None) -> Requests:
    """Return a source of the requests for predictions that servers of a model have answered; servers log them from the next run on.

    ``sample`` is the share of requests that is logged, ``keep`` how long raw files are kept: ``keep="90 days"``.
    """
    name = model if isinstance(model, str) else model.name
    if not 0 < sample <= 1:
        raise DeclarationProblem(
            f"The share of the requests of '{name}' that is logged is {sample!r}.",
            fix="Give a number above 0, up to 1.",
            where=str(caller()),
        )
    return Requests(name, float(sample), None if keep is None else seconds(keep))
