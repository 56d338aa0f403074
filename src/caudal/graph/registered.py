"""The registered kinds of nodes: the modules of ``graph/kinds``, and the entry points ``caudal.nodes`` of other packages."""

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
    """Yield the attribute of each module of a folder, then the objects that other packages register by entry points.

    Raises
    ------
    EnvironmentProblem : an entry point of another package cannot be loaded
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
    """Return every kind of node, those of caudal before those of other packages."""
    return tuple(sorted(members(caudal.graph.kinds, "KIND", GROUP), key=lambda kind: (kind.rank, kind.name)))


@cache
def step_kinds() -> dict[str, StepKind]:
    """Return every kind of step by its name in the ledger."""
    return {step.name: step for step in (*(step for kind in node_kinds() for step in kind.steps), REGISTER)}


def step_kind(name: str) -> StepKind:
    """Return a kind of step by its name; for a name that no kind of node has any more, one without any facts."""
    return step_kinds().get(name) or StepKind(name, fingerprinted=False)


@cache
def steps_where(**facts: object) -> tuple[str, ...]:
    """Return the names of the kinds of steps whose attributes have these values.

    Examples
    --------
    >>> steps_where(writes="model"), steps_where(section="landed")
    (('train',), ('land',))
    """
    return tuple(name for name, step in step_kinds().items() if all(getattr(step, fact) == value for fact, value in facts.items()))


@cache
def kind_of_step(step: str) -> NodeKind[Any]:
    """Return the first kind of node that has a step of this name."""
    return next(kind for kind in node_kinds() if step in [kind_step.name for kind_step in kind.steps])


@cache
def styles() -> dict[str, Style]:
    """Return the drawing style of nodes by the label of their kind."""
    by_label: dict[str, Style] = {}
    for kind in node_kinds():
        if kind.style is not None:
            by_label.setdefault(kind.label, kind.style)
    return by_label


@cache
def steps_of_label(label: str) -> tuple[str, ...]:
    """Return the names of the steps of nodes with a label; the label itself where no kind has it."""
    names = [step.name for kind in node_kinds() if kind.label == label for step in kind.steps]
    return tuple(dict.fromkeys(names)) or (label,)


@cache
def labels_where(**facts: object) -> tuple[str, ...]:
    """Return the labels of the kinds of nodes whose attributes have these values.

    Examples
    --------
    >>> labels_where(columns="built")
    ('table', 'join', 'features')
    """
    kinds = [kind for kind in node_kinds() if all(getattr(kind, fact) == value for fact, value in facts.items())]
    return tuple(dict.fromkeys(kind.label for kind in kinds))


@cache
def labels_with_table() -> tuple[str, ...]:
    """Return the labels of the kinds of nodes that have a table."""
    return tuple(dict.fromkeys(kind.label for kind in node_kinds() if kind.columns is not None))


def kind_of(declaration: Any) -> NodeKind[Any]:
    """Return the kind of a declaration.

    Raises
    ------
    DeclarationProblem : no kind handles such declarations
    """
    for base in type(declaration).__mro__:
        for kind in _kinds_by_class().get(_class_name(base), ()):
            if kind.includes(declaration):
                return kind
    raise DeclarationProblem(
        f"No kind of node is for the class '{type(declaration).__name__}'.",
        fix=f"Install the package that gives it, as an entry point of the group {GROUP}.",
        where=str(getattr(declaration, "where", None)),
    )


def declared_nodes(product: Product) -> Iterator[DeclaredNode]:
    """Yield a product's declarations in order, its tables first, then what is built from them."""
    for declarations in product.declarations_by_kind:
        yield from map(_node, declarations.values())


def declarations_of_kind(product: Product, *names: str) -> list[Any]:
    """Return the declarations of the kinds with these names."""
    return [node.declaration for node in declared_nodes(product) if node.kind.name in names]


def node_of_step(product: Product, step: str, subject: str) -> DeclaredNode | None:
    """Return the node that a step belongs to; None where the product declares none."""
    nodes = [_node(declarations[subject]) for declarations in product.declarations_by_kind if subject in declarations]
    of_step = [node for node in nodes if step in [kind_step.name for kind_step in node.kind.steps]]
    of_table = [node for node in nodes if step == REGISTER.name and node.kind.columns is not None]
    return next(iter((*of_step, *of_table)), None)


def is_streamed(product: Product, name: str) -> bool:
    """Return whether the product's streams write a node's table."""
    node = product.nodes.get(name)
    return node is not None and kind_of(node).streamed


def tables_of(product: Product) -> tuple[str, ...]:
    """Return the names of all nodes with a table in the lake: sources, tables, features, predictions."""
    return tuple(node.name for node in declared_nodes(product) if node.kind.columns is not None)


def _node(declaration: object) -> DeclaredNode:
    kind = kind_of(declaration)
    return DeclaredNode(f"{kind.prefix}{kind.subject(declaration)}", kind, declaration)


@cache
def _kinds_by_class() -> dict[str, Sequence[NodeKind[Any]]]:
    """Return the kinds by the name of their class, since loading a product may import the classes of an editable package again."""
    kinds: dict[str, list[NodeKind[Any]]] = {}
    for kind in node_kinds():
        kinds.setdefault(_class_name(kind.declaration), []).append(kind)
    return dict(kinds)


def _class_name(declaration: type) -> str:
    return f"{declaration.__module__}.{declaration.__qualname__}"


def clear_caches() -> None:
    """Clear the caches, so that kinds of packages installed since are found."""
    for cached in (
        node_kinds,
        step_kinds,
        steps_where,
        kind_of_step,
        styles,
        steps_of_label,
        labels_where,
        labels_with_table,
        _kinds_by_class,
    ):
        cached.cache_clear()
