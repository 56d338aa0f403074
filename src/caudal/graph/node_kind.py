"""What differs by kind of node, behind one protocol: each kind is a file of ``graph/kinds``, found by registration (`caudal.graph.registered`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest
from caudal.json_value import JsonObject

if TYPE_CHECKING:
    from caudal.graph.fingerprint import Declared

Reads = Literal["origins", "raw", "tables"]
Writes = Literal["raw", "table", "model", "decision", "elsewhere"]
Columns = Literal["raw", "built", "predicted"]
Backfill = Literal["from raw", "from inputs", "left out"]


@dataclass(frozen=True)
class StepKind:
    """A kind of step, as the ledger names it; its work is in ``batch/steps`` under the name of the node's kind and this one's.

    Parameters
    ----------
    reads : where its inputs lie: ``origins`` outside the home, ``raw`` files, or ``tables``
    writes : what it makes; a ``table`` is one of the lake, with versions
    section : str, the part of the run's document that tells of it, by name; None: it is among the steps only
    verb : str, what OpenLineage is told that it did; None: nothing is told of it
    judged : whether expectations judge the rows that it writes
    in_backfill : whether a backfill does it
    by_stream : whether a stream may do it in the place of a run
    fingerprinted : whether its declaration decides whether it runs
    in_zone, runs_function : whether the product's zone, and what the user's function reads, decide too
    when_unchanged : str, why it ran although nothing that it is made of has changed
    """

    name: str
    reads: Reads = "tables"
    writes: Writes = "elsewhere"
    section: str | None = None
    verb: str | None = None
    judged: bool = False
    in_backfill: bool = True
    by_stream: bool = False
    fingerprinted: bool = True
    in_zone: bool = False
    runs_function: bool = False
    when_unchanged: str = "it is done each time"


REGISTER = StepKind("register", fingerprinted=False)
"""The one step that belongs to no kind of node: a metastore is told of a table, whichever kind has made it."""


@dataclass(frozen=True)
class Style:
    """How a node is drawn: its glyph in a terminal, its colour on light and on dark paper."""

    glyph: str
    light: str
    dark: str


Declaration = TypeVar("Declaration", bound=Any)


class NodeKind(Generic[Declaration]):
    """A kind of node.

    Attributes
    ----------
    name : str, no other kind has it
    label : str, the word by which drawings, documents and catalogs call such a node; kinds that a reader need not tell apart share it
    declaration : the class of its declarations
    rank : int, its place among the kinds; those of other packages come last
    style : how it is drawn; None: it is not in the graph
    prefix : str, set before its name in the graph, where a table may bear the same
    steps : its steps, each after the one before; the first comes after the steps that write what it needs
    pipelines : the pipelines that are for such nodes; what these nodes need is done too
    follows : whether it is planned only where all that it needs is, and brings nothing into the plan itself
    columns : where its columns come from: ``raw`` files, what ``built`` it, or the model that ``predicted``; None: it has no table
    streamed : whether the product's streams write its table
    backfill : how its days are made again
    """

    name: ClassVar[str]
    label: ClassVar[str]
    declaration: ClassVar[type]
    rank: ClassVar[int] = 1000
    style: ClassVar[Style | None] = None
    prefix: ClassVar[str] = ""
    steps: ClassVar[tuple[StepKind, ...]] = ()
    pipelines: ClassVar[frozenset[str]] = frozenset({"all"})
    follows: ClassVar[bool] = False
    columns: ClassVar[Columns | None] = None
    streamed: ClassVar[bool] = False
    backfill: ClassVar[Backfill] = "left out"

    def includes(self, declaration: Declaration) -> bool:
        """Tell whether a declaration of the class is of this kind."""
        return True

    def subject(self, declaration: Declaration) -> str:
        """Return the name that steps and the ledger know the node by."""
        return str(declaration.name)

    def inputs(self, product: Product, declaration: Declaration) -> tuple[str, ...]:
        """Return the names that it is drawn to be made from."""
        return tuple(declaration.inputs)

    def needs(self, product: Product, declaration: Declaration) -> tuple[str, ...]:
        """Return the nodes whose steps come before its own."""
        return self.inputs(product, declaration)

    def description(self, declaration: Declaration) -> str | None:
        """Return what the declaration says of itself."""
        return getattr(declaration, "description", None)

    def comment(self, declaration: Declaration) -> str | None:
        """Return what a warehouse is told of its table."""
        return self.description(declaration)

    def after(self, declaration: Declaration) -> tuple[object, ...]:
        """Return the Luigi tasks of the user's own that come before its first step."""
        return ()

    def attempts(self, product: Product, declaration: Declaration) -> tuple[int, float | None]:
        """Return how often its steps are tried again, and after how many seconds an attempt is ended."""
        return declaration.retry, declaration.time_limit_s

    def made_by(self, product: Product, declaration: Declaration) -> Declared | None:
        """Return the declaration whose code decides whether its steps run; None where it is not there."""
        return declaration

    def identity(self, declaration: Declaration) -> list[object]:
        """Return what the fingerprint of a declaration is made of."""
        return [self.name, declaration]

    def sql(self, declaration: Declaration) -> str | None:
        """Return the query that it is made by, where it is one."""
        return None

    def document(self, declaration: Declaration) -> JsonObject:
        """Return what the kept declaration says of such a table beside what it says of all."""
        return {}

    def problems(self, product: Product, declaration: Declaration) -> Iterator[DeclarationProblem]:
        """Yield what is wrong with a declaration, without data: by itself, names that nothing declares."""
        for name in self.needs(product, declaration):
            if name not in product.nodes and name not in product.predictions:
                yield DeclarationProblem(
                    f"{self.label.capitalize()} '{self.subject(declaration)}' reads '{name}', which nothing declares.",
                    nearest=nearest(name, (*product.nodes, *product.predictions)),
                    where=str(declaration.where),
                    input=name,
                )

    def lacking(self, declaration: Declaration, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
        """Yield the columns that it asks of a table which has these and no others."""
        yield from ()

    def told(self, row: Mapping[str, Any]) -> dict[str, object]:
        """Return what the run's document says of a step of such a node, where the report has no part of its own for it.

        Parameters
        ----------
        row : the step in the ledger
        """
        return {
            "rows": row["rows_written"],
            "version": row["output_version"],
            "note": (row["detail"] or {}).get("note"),
        }
