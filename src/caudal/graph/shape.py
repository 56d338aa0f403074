"""The graph as plain data: nodes by name, each with the names it reads. Knows no engine and no declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from caudal.errors import DeclarationProblem, NotThere, nearest

Kind = Literal["source", "table", "join", "features", "model", "prediction", "serving", "warehouse"]


@dataclass(frozen=True)
class GraphNode:
    """One thing that a product makes.

    Parameters
    ----------
    inputs : names that it reads; a name that no node bears is an unknown input, which ``check`` reports
    where : str, optional, file and line of the declaration
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...] = ()
    description: str | None = None
    where: str | None = None


@dataclass(frozen=True)
class NodeState:
    """How a node stands after a run.

    Parameters
    ----------
    state : str, ``succeeded | skipped | failed | waiting | running``
    seconds : float, optional, time spent on it
    rows : int, optional, rows written
    note : str, optional, one sentence: why it was skipped, what failed
    """

    state: str
    seconds: float | None = None
    rows: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class Graph:
    """Nodes by name, in order of declaration.

    Examples
    --------
    >>> graph = Graph({"b": GraphNode("b", "table", ("a",)), "a": GraphNode("a", "source")})
    >>> graph.order(), graph.downstream("a"), graph.upstream("b")
    (('a', 'b'), ('b',), ('a',))
    """

    nodes: Mapping[str, GraphNode]

    def order(self) -> tuple[str, ...]:
        """Return the names, each after all that it reads; otherwise in order of declaration.

        Raises
        ------
        DeclarationProblem : the nodes go round in a circle
        """
        return self._order

    def upstream(self, name: str) -> tuple[str, ...]:
        """Return everything that a node is made from, in the order in which it is made."""
        return self._reached(name, {node.name: self.inputs(node.name) for node in self.nodes.values()})

    def downstream(self, name: str) -> tuple[str, ...]:
        """Return everything that is made from a node, in the order in which it is made."""
        return self._reached(name, self._readers)

    def inputs(self, name: str) -> tuple[str, ...]:
        """Return the inputs of a node that are nodes themselves, each once."""
        return tuple(dict.fromkeys(input_ for input_ in self.nodes[name].inputs if input_ in self.nodes))

    def readers(self, name: str) -> tuple[str, ...]:
        """Return the nodes that read a node directly."""
        return self._readers[name]

    @cached_property
    def _readers(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name in self.nodes:
            for input_ in self.inputs(name):
                found[input_].append(name)
        return {name: tuple(readers) for name, readers in found.items()}

    @cached_property
    def _order(self) -> tuple[str, ...]:
        done: dict[str, None] = {}
        left = list(self.nodes)
        while left:
            ready = next((name for name in left if all(input_ in done for input_ in self.inputs(name))), None)
            if ready is None:
                circle = self._circle(left)
                raise DeclarationProblem(
                    f"The tables go round in a circle: {' ← '.join(circle)}.",
                    fix=f"Take '{circle[1]}' out of the inputs of '{circle[0]}'.",
                    where=self.nodes[circle[0]].where,
                    tables=circle,
                )
            done[ready] = None
            left.remove(ready)
        return tuple(done)

    def _circle(self, among: Iterable[str]) -> list[str]:
        inside = set(among)
        path = [next(name for name in self.nodes if name in inside)]
        while True:
            following = next(input_ for input_ in self.inputs(path[-1]) if input_ in inside)
            if following in path:
                return [*path[path.index(following) :], following]
            path.append(following)

    def _reached(self, name: str, edges: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        if name not in self.nodes:
            raise NotThere(f"The graph has no '{name}'.", nearest=nearest(name, self.nodes), name=name)
        found: set[str] = set()
        waiting = list(edges[name])
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += edges[one]
        return tuple(one for one in self.order() if one in found)
