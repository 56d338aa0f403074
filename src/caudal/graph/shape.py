"""The graph as plain data: nodes by name, each with the names it reads. Knows no engine and no declaration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush

from caudal.errors import DeclarationProblem, NotThere, nearest


@dataclass(frozen=True)
class GraphNode:
    """A node of the graph.

    Parameters
    ----------
    kind : str, the label of its kind
    inputs : names that it reads; a name without a node is an unknown input, which ``check`` reports
    where : str, optional, file and line of the declaration
    needs : names of the nodes whose steps run before its steps; some it reads only for its expectations
    """

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    description: str | None = None
    where: str | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeState:
    """The state of a node after a run.

    Parameters
    ----------
    state : str, ``succeeded | skipped | failed | waiting | running``
    seconds : float, optional, time spent on it
    rows : int, optional, rows written
    note : str, optional, a sentence: why it was skipped, what failed
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
        """Return the names in topological order, each after all that it reads or needs; otherwise in order of declaration.

        Raises
        ------
        DeclarationProblem : the graph has a cycle
        """
        return self._order

    def cycles(self) -> Iterator[DeclarationProblem]:
        """Yield a problem for each cycle."""
        visited: set[str] = set()
        for start in self.nodes:
            if cycle := self._find_cycle(start, visited):
                visited.update(cycle)
                where = "inputs" if cycle[1] in self.inputs(cycle[0]) else "expectations"
                yield DeclarationProblem(
                    f"The tables go round in a circle: {' ← '.join(cycle)}.",
                    fix=f"Take '{cycle[1]}' out of the {where} of '{cycle[0]}'.",
                    where=self.nodes[cycle[0]].where,
                    tables=cycle,
                )

    def upstream(self, name: str) -> tuple[str, ...]:
        """Return all direct and indirect inputs of a node, in topological order."""
        return self._sorted(self._reachable((name,), self.inputs))

    def downstream(self, name: str) -> tuple[str, ...]:
        """Return all direct and indirect readers of a node, in topological order."""
        return self._sorted(self._reachable((name,), self.readers))

    def needed(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the nodes and all nodes whose steps run before theirs, in topological order."""
        requested = tuple(names)
        return self._sorted({*requested, *self._reachable(requested, self.needs)})

    def inputs(self, name: str) -> tuple[str, ...]:
        """Return the inputs of a node that are nodes, without duplicates."""
        return tuple(dict.fromkeys(input_ for input_ in self.nodes[name].inputs if input_ in self.nodes))

    def needs(self, name: str) -> tuple[str, ...]:
        """Return the nodes whose steps run before those of a node, without duplicates."""
        return tuple(dict.fromkeys(needed for needed in self.nodes[name].needs if needed in self.nodes))

    def readers(self, name: str) -> tuple[str, ...]:
        """Return the nodes that read a node directly."""
        return self._readers[name]

    @cached_property
    def _readers(self) -> dict[str, tuple[str, ...]]:
        readers_of: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name in self.nodes:
            for input_ in self.inputs(name):
                readers_of[input_].append(name)
        return {name: tuple(readers) for name, readers in readers_of.items()}

    @cached_property
    def _predecessors(self) -> dict[str, tuple[str, ...]]:
        """The nodes that each node reads or needs."""
        return {name: tuple(dict.fromkeys((*self.inputs(name), *self.needs(name)))) for name in self.nodes}

    @cached_property
    def _order(self) -> tuple[str, ...]:
        names = list(self.nodes)
        place = {name: number for number, name in enumerate(names)}
        inputs_left = {name: len(before) for name, before in self._predecessors.items()}
        behind: dict[str, list[str]] = {name: [] for name in names}
        for name, before in self._predecessors.items():
            for other in before:
                behind[other].append(name)
        ready = [place[name] for name in names if not inputs_left[name]]
        heapify(ready)
        ordered: list[str] = []
        while ready:
            name = names[heappop(ready)]
            ordered.append(name)
            for other in behind[name]:
                inputs_left[other] -= 1
                if not inputs_left[other]:
                    heappush(ready, place[other])
        if len(ordered) < len(names):
            raise next(self.cycles())
        return tuple(ordered)

    def _find_cycle(self, start: str, visited: set[str]) -> list[str]:
        """Return a cycle that can be reached from a node, or an empty list; nodes that lead to no cycle become ``visited``."""
        path, ways = [start], [iter(self._predecessors[start])]
        while path:
            following = next((name for name in ways[-1] if name not in visited), None)
            if following is None:
                visited.add(path.pop())
                ways.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            else:
                path.append(following)
                ways.append(iter(self._predecessors[following]))
        return []

    def _reachable(self, names: Iterable[str], edges: Callable[[str], tuple[str, ...]]) -> set[str]:
        """Return all nodes that can be reached from the given ones, which are included only if they can be reached too."""
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
