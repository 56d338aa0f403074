"""Kinds of nodes are found: each module of ``graph/kinds``, and the entry points ``caudal.nodes`` of other packages."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, NamedTuple

import caudal.graph.kinds
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.graph.node_kind import REGISTER, NodeKind, StepKind, Style

GROUP = "caudal.nodes"


class DeclaredNode(NamedTuple):
    """A declaration with its kind, and its name in the graph."""

    name: str
    kind: NodeKind[Any]
    declaration: Any


def members(folder: ModuleType, attribute: str, group: str) -> Iterator[Any]:
    """Yield what the modules of a folder have under a name, then what other packages give by their entry points.

    Raises
    ------
    EnvironmentProblem : what another package gives cannot be loaded
    """
    for module in pkgutil.iter_modules(folder.__path__):
        member = getattr(import_module(f"{folder.__name__}.{module.name}"), attribute, None)
        if member is not None:
            yield member
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            yield entry.load()
        except Exception as error:
            raise EnvironmentProblem(
                f"'{entry.name}' ({entry.value}), which another package gives to {group}, cannot be loaded: {type(error).__name__}: {error}",
                fix="Mend that package, or uninstall it.",
                entry=entry.name,
            ) from error


@cache
def node_kinds() -> tuple[NodeKind[Any], ...]:
    """Return every kind of node, ours before those of other packages."""
    return tuple(sorted(members(caudal.graph.kinds, "KIND", GROUP), key=lambda kind: (kind.rank, kind.name)))


@cache
def step_kinds() -> dict[str, StepKind]:
    """Return every kind of step by the name that the ledger knows it by."""
    return {step.name: step for step in (*(step for kind in node_kinds() for step in kind.steps), REGISTER)}


def step_kind(name: str) -> StepKind:
    """Return a kind of step by its name; of one that no kind of node has any more, that nothing is known of it."""
    return step_kinds().get(name) or StepKind(name, fingerprinted=False)


@cache
def steps_where(**facts: object) -> tuple[str, ...]:
    """Return the names of the kinds of steps of which these facts hold.

    Examples
    --------
    >>> steps_where(writes="model"), steps_where(section="landed")
    (('train',), ('land',))
    """
    return tuple(name for name, step in step_kinds().items() if all(getattr(step, fact) == value for fact, value in facts.items()))


@cache
def kind_of_step(step: str) -> NodeKind[Any]:
    """Return the first kind of node that has a kind of step."""
    return next(kind for kind in node_kinds() if step in [own.name for own in kind.steps])


@cache
def styles() -> dict[str, Style]:
    """Return how nodes are drawn, by the label of their kind."""
    found: dict[str, Style] = {}
    for kind in node_kinds():
        if kind.style is not None:
            found.setdefault(kind.label, kind.style)
    return found


@cache
def steps_of_label(label: str) -> tuple[str, ...]:
    """Return the names of the kinds of steps that make nodes with a label; the label itself where no kind has it."""
    names = [step.name for kind in node_kinds() if kind.label == label for step in kind.steps]
    return tuple(dict.fromkeys(names)) or (label,)


@cache
def labels_where(**facts: object) -> tuple[str, ...]:
    """Return the labels of the kinds of nodes of which these facts hold.

    Examples
    --------
    >>> labels_where(columns="built")
    ('table', 'join', 'features')
    """
    kinds = [kind for kind in node_kinds() if all(getattr(kind, fact) == value for fact, value in facts.items())]
    return tuple(dict.fromkeys(kind.label for kind in kinds))


@cache
def with_columns() -> tuple[str, ...]:
    """Return the labels of the kinds of nodes that have a table of their own."""
    return tuple(dict.fromkeys(kind.label for kind in node_kinds() if kind.columns is not None))


def kind_of(declaration: Any) -> NodeKind[Any]:
    """Return the kind of a declaration.

    Raises
    ------
    DeclarationProblem : no kind is for such declarations
    """
    for base in type(declaration).__mro__:
        for kind in _kinds_by_class().get(_name_of(base), ()):
            if kind.includes(declaration):
                return kind
    raise DeclarationProblem(
        f"No kind of node is for the class '{type(declaration).__name__}'.",
        fix=f"Install the package that gives it, as an entry point of the group {GROUP}.",
        where=str(getattr(declaration, "where", None)),
    )


def declared_nodes(product: Product) -> Iterator[DeclaredNode]:
    """Yield what a product declares, in order of declaration: its tables first, then what is made of them."""
    for held in product.held:
        yield from map(_node, held.values())


def of_kind(product: Product, *names: str) -> list[Any]:
    """Return the declarations of kinds by their names."""
    return [node.declaration for node in declared_nodes(product) if node.kind.name in names]


def node_of_step(product: Product, step: str, subject: str) -> DeclaredNode | None:
    """Return the node that a step of a kind is about; None where the product declares none."""
    nodes = [_node(held[subject]) for held in product.held if subject in held]
    own = [node for node in nodes if step in [each.name for each in node.kind.steps]]
    of_table = [node for node in nodes if step == REGISTER.name and node.kind.columns is not None]
    return next(iter((*own, *of_table)), None)


def is_streamed(product: Product, name: str) -> bool:
    """Tell whether a node's table is written by the product's streams."""
    node = product.nodes.get(name)
    return node is not None and kind_of(node).streamed


def tables_of(product: Product) -> tuple[str, ...]:
    """Return all that has a table in the lake of its own: sources, tables, features, predictions."""
    return tuple(node.name for node in declared_nodes(product) if node.kind.columns is not None)


def _node(declaration: object) -> DeclaredNode:
    kind = kind_of(declaration)
    return DeclaredNode(f"{kind.prefix}{kind.subject(declaration)}", kind, declaration)


@cache
def _kinds_by_class() -> dict[str, Sequence[NodeKind[Any]]]:
    """Return the kinds by their class's name: loading a product imports the modules of an editable package anew."""
    kinds: dict[str, list[NodeKind[Any]]] = {}
    for kind in node_kinds():
        kinds.setdefault(_name_of(kind.declaration), []).append(kind)
    return dict(kinds)


def _name_of(declaration: type) -> str:
    return f"{declaration.__module__}.{declaration.__qualname__}"


def forget() -> None:
    """Have the kinds found anew: a package that gives one was installed while this process ran."""
    for known in (
        node_kinds,
        step_kinds,
        steps_where,
        kind_of_step,
        styles,
        steps_of_label,
        labels_where,
        with_columns,
        _kinds_by_class,
    ):
        known.cache_clear()
