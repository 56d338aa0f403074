"""The protocol of node kinds: each kind is a file of ``graph/kinds``, found by registration (`caudal.graph.registered`)."""

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
    """A kind of step under the name that the ledger uses; its function is in ``batch/steps`` under the names of node kind and step kind.

    Parameters
    ----------
    reads : where its inputs are: ``origins`` outside the home, ``raw`` files, or ``tables``
    writes : what it writes; a ``table`` is a versioned table of the lake
    section : str, name of the part of the run's document that describes it; None: only the list of steps does
    verb : str, the job name that OpenLineage events use; None: it emits no event
    judged : whether expectations are applied to the rows that it writes
    in_backfill : whether a backfill runs it
    by_stream : whether a stream may do it instead of a run
    follows_messages : whether a stream of rows does it with each micro-batch that changes its inputs, though it writes no table
    fingerprinted : whether its declaration decides whether it runs
    in_zone, runs_function : whether the product's time zone, and what the user's function reads, decide too
    when_unchanged : str, the reason that is reported when it ran although none of its inputs changed
    """

    name: str
    reads: Reads = "tables"
    writes: Writes = "elsewhere"
    section: str | None = None
    verb: str | None = None
    judged: bool = False
    in_backfill: bool = True
    by_stream: bool = False
    follows_messages: bool = False
    fingerprinted: bool = True
    in_zone: bool = False
    runs_function: bool = False
    when_unchanged: str = "it is done each time"


REGISTER = StepKind("register", fingerprinted=False)
"""The only step without a kind of node: it registers a table in the metastore, whatever kind of node wrote the table."""


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
    label : str, the word for such a node in drawings, documents and catalogs; kinds that look alike to a reader share it
    declaration : the class of its declarations
    rank : int, its place among the kinds; those of other packages come last
    style : how it is drawn; None: it is not in the graph
    prefix : str, put before its name in the graph, where a table may have the same name
    steps : its steps in order; the first runs after the steps that write what it needs
    pipelines : the pipelines that include such nodes and all that they need
    follows : whether it is planned only where everything that it needs is planned, and adds nothing to the plan
    columns : where its columns come from: ``raw`` files, the function that ``built`` it, or the model that ``predicted``; None: no table
    streamed : whether the product's streams write its table
    backfill : how its days are computed again
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
        """Return whether a declaration of the class is of this kind."""
        return True

    def subject(self, declaration: Declaration) -> str:
        """Return the name that steps and the ledger know the node by."""
        return str(declaration.name)

    def inputs(self, product: Product, declaration: Declaration) -> tuple[str, ...]:
        """Return the names of its inputs in the drawn graph."""
        return tuple(declaration.inputs)

    def needs(self, product: Product, declaration: Declaration) -> tuple[str, ...]:
        """Return the nodes whose steps run before its steps."""
        return self.inputs(product, declaration)

    def description(self, declaration: Declaration) -> str | None:
        """Return the declaration's description."""
        return getattr(declaration, "description", None)

    def comment(self, declaration: Declaration) -> str | None:
        """Return the comment on its table in a warehouse."""
        return self.description(declaration)

    def after(self, declaration: Declaration) -> tuple[object, ...]:
        """Return the user's Luigi tasks that run before its first step."""
        return ()

    def attempts(self, product: Product, declaration: Declaration) -> tuple[int, float | None]:
        """Return how often its steps are retried, and the time limit of an attempt in seconds."""
        return declaration.retry, declaration.time_limit_s

    def fingerprinted_declaration(self, product: Product, declaration: Declaration) -> Declared | None:
        """Return the declaration whose code decides whether its steps run; None where nothing declares it."""
        return declaration

    def identity(self, declaration: Declaration) -> list[object]:
        """Return the values that make up the declaration's fingerprint."""
        return [self.name, declaration]

    def sql(self, declaration: Declaration) -> str | None:
        """Return its SQL query, if it has one."""
        return None

    def document(self, declaration: Declaration) -> JsonObject:
        """Return the entries that such a table adds to its stored declaration."""
        return {}

    def problems(self, product: Product, declaration: Declaration) -> Iterator[DeclarationProblem]:
        """Yield the problems of a declaration, without data; by default the names that nothing declares."""
        for name in self.needs(product, declaration):
            if name not in product.nodes and name not in product.predictions:
                yield DeclarationProblem(
                    f"{self.label.capitalize()} '{self.subject(declaration)}' reads '{name}', which nothing declares.",
                    nearest=nearest(name, (*product.nodes, *product.predictions)),
                    where=str(declaration.where),
                    input=name,
                )

    def column_problems(self, declaration: Declaration, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
        """Yield the columns that it names and that a table with exactly the columns ``names`` lacks."""
        yield from ()

    def step_document(self, row: Mapping[str, Any]) -> dict[str, object]:
        """Return the entry of a step of such a node in the run's document, where the report has no section for it.

        Parameters
        ----------
        row : the step in the ledger
        """
        return {
            "rows": row["rows_written"],
            "version": row["output_version"],
            "note": (row["detail"] or {}).get("note"),
        }
