"""The graph as plain data: nodes by name, each with the names it reads. Knows no engine and no declaration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush

from caudal.errors import DeclarationProblem, NotThere, nearest


@dataclass(frozen=True)
class GraphNode:
    """One thing that a product makes.

    Parameters
    ----------
    kind : str, the label of its kind
    inputs : names that it reads; a name that no node bears is an unknown input, which ``check`` reports
    where : str, optional, file and line of the declaration
    needs : names of the nodes whose steps come before its own; some it does not read for its rows, but for its expectations
    """

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    description: str | None = None
    where: str | None = None
    needs: tuple[str, ...] = ()


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
        """Return the names, each after all that it reads or needs; otherwise in order of declaration.

        Raises
        ------
        DeclarationProblem : the nodes go round in a circle
        """
        return self._order

    def circles(self) -> Iterator[DeclarationProblem]:
        """Yield the circles that nodes go round in."""
        done: set[str] = set()
        for start in self.nodes:
            if circle := self._circle(start, done):
                done.update(circle)
                where = "inputs" if circle[1] in self.inputs(circle[0]) else "expectations"
                yield DeclarationProblem(
                    f"The tables go round in a circle: {' ← '.join(circle)}.",
                    fix=f"Take '{circle[1]}' out of the {where} of '{circle[0]}'.",
                    where=self.nodes[circle[0]].where,
                    tables=circle,
                )

    def upstream(self, name: str) -> tuple[str, ...]:
        """Return everything that a node is made from, in the order in which it is made."""
        return self._sorted(self._reached((name,), self.inputs))

    def downstream(self, name: str) -> tuple[str, ...]:
        """Return everything that is made from a node, in the order in which it is made."""
        return self._sorted(self._reached((name,), self.readers))

    def needed(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return some nodes and all whose steps come before theirs, in the order in which they are made."""
        given = tuple(names)
        return self._sorted({*given, *self._reached(given, self.needs)})

    def inputs(self, name: str) -> tuple[str, ...]:
        """Return the inputs of a node that are nodes themselves, each once."""
        return tuple(dict.fromkeys(input_ for input_ in self.nodes[name].inputs if input_ in self.nodes))

    def needs(self, name: str) -> tuple[str, ...]:
        """Return the nodes whose steps come before those of a node, each once."""
        return tuple(dict.fromkeys(needed for needed in self.nodes[name].needs if needed in self.nodes))

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
    def _before(self) -> dict[str, tuple[str, ...]]:
        """What comes before each node, because it is read or needed."""
        return {name: tuple(dict.fromkeys((*self.inputs(name), *self.needs(name)))) for name in self.nodes}

    @cached_property
    def _order(self) -> tuple[str, ...]:
        names = list(self.nodes)
        place = {name: number for number, name in enumerate(names)}
        left = {name: len(before) for name, before in self._before.items()}
        behind: dict[str, list[str]] = {name: [] for name in names}
        for name, before in self._before.items():
            for other in before:
                behind[other].append(name)
        ready = [place[name] for name in names if not left[name]]
        heapify(ready)
        done: list[str] = []
        while ready:
            name = names[heappop(ready)]
            done.append(name)
            for other in behind[name]:
                left[other] -= 1
                if not left[other]:
                    heappush(ready, place[other])
        if len(done) < len(names):
            raise next(self.circles())
        return tuple(done)

    def _circle(self, start: str, done: set[str]) -> list[str]:
        """Return a circle that is met on the way from a node, and note what leads to none as done."""
        path, ways = [start], [iter(self._before[start])]
        while path:
            following = next((name for name in ways[-1] if name not in done), None)
            if following is None:
                done.add(path.pop())
                ways.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            else:
                path.append(following)
                ways.append(iter(self._before[following]))
        return []

    def _reached(self, names: Iterable[str], edges: Callable[[str], tuple[str, ...]]) -> set[str]:
        """Return what is reached from some nodes, themselves only where they are reached too."""
        reached: set[str] = set()
        waiting: list[str] = []
        for name in names:
            if name not in self.nodes:
                raise NotThere(f"The graph has no '{name}'.", nearest=nearest(name, self.nodes), name=name)
            waiting += edges(name)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += edges(name)
        return reached

    def _sorted(self, names: Collection[str]) -> tuple[str, ...]:
        return tuple(name for name in self.order() if name in names)
