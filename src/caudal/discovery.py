"""Kinds are found: one a file of a folder, and one a module that another package names by an entry point.

A file of the folder and a module of another package have one shape, so that a kind can move from one to the other as it is. Nothing is
imported before it is asked for, and where the file is named after the kind, asking for one kind imports one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from caudal.errors import EnvironmentProblem

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

K = TypeVar("K")
Brings = Callable[[ModuleType], Mapping[str, Any]]
"""What a module brings: kinds by name; none where the module only serves the kinds beside it."""


class Kinds(Mapping[str, K], Generic[K]):
    """The kinds of one thing by name: those of caudal's folder, in the order of ``ORDER`` in their files and then of their names, before
    those of other packages by name.

    Parameters
    ----------
    what : str, how a sentence names one of them, such as ``expectation``
    group : str, the group of entry points by which other packages add some, without ``caudal.``
    folder : str, dotted name of the package that holds caudal's own
    brings : what a module brings; ``by_class``, ``by_constant`` and ``by_mark`` make such functions

    Raises
    ------
    EnvironmentProblem : when they are asked for, and another package adds one that cannot be used; it is named
    """

    every: ClassVar[dict[str, Kinds[Any]]] = {}

    def __init__(self, what: str, group: str, folder: str, brings: Brings) -> None:
        self.what, self.group, self.folder, self._brings = what, f"caudal.{group}", folder, brings
        self._modules: dict[str, ModuleType] = {}
        self._all: dict[str, K] | None = None
        self._added: dict[str, K] | None = None
        Kinds.every[group] = self

    def __getitem__(self, name: str) -> K:
        if self._all is None and name in self.files() and name in (brought := self._of_file(name)):
            return brought[name]
        return self._found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def files(self) -> tuple[str, ...]:
        """Return the names of the folder's files, of those too that only serve kinds; none of them is imported."""
        return _files(self.folder)

    def has_file(self, name: str) -> bool:
        """Return whether a kind of caudal's own has a file of its name; no other is imported."""
        return name in self.files() and name in self._of_file(name)

    def own(self) -> tuple[str, ...]:
        """Return the names of caudal's own kinds."""
        return tuple(name for name in self if name not in self.added())

    def added(self) -> Mapping[str, K]:
        """Return the kinds of other packages."""
        if self._added is None:
            added: dict[str, K] = {}
            for entry in sorted((entry for entry in _installed() if entry.group == self.group), key=lambda entry: entry.name):
                added |= self._of_package(entry)
            self._added = added
        return self._added

    def module(self, name: str) -> ModuleType:
        """Return the module that brings a kind."""
        self[name]
        return self._modules[name]

    def forget(self) -> None:
        """Forget what was found: the next question looks again."""
        self._all, self._added, self._modules = None, None, {}

    def _found(self) -> dict[str, K]:
        if self._all is None:
            found: list[tuple[int, str, K]] = []
            for file in self.files():
                brought = self._of_file(file)
                order = getattr(import_module(f"{self.folder}.{file}"), "ORDER", 1000)
                found += [(order, name, kind) for name, kind in brought.items()]
            own = {name: kind for _, name, kind in sorted(found, key=lambda each: each[:2])}
            self._all = {**own, **self.added()}
        return self._all

    def _of_file(self, file: str) -> Mapping[str, K]:
        module = import_module(f"{self.folder}.{file}")
        brought = self._brings(module)
        self._modules |= dict.fromkeys(brought, module)
        return brought

    def _of_package(self, entry: EntryPoint) -> Mapping[str, K]:
        try:
            module = entry.load()
        except Exception as error:
            raise self._unusable(entry, f"{type(error).__name__}: {error}") from error
        brought = self._brings(module) if isinstance(module, ModuleType) else {}
        if not brought:
            raise self._unusable(entry, f"it is no module that holds one, as the files of {self.folder} do")
        for name in brought:
            if (name in self._modules and self._modules[name] is not module) or self.has_file(name):
                raise self._unusable(entry, f"there is another one of the name '{name}'")
        self._modules |= dict.fromkeys(brought, module)
        return brought

    def _unusable(self, entry: EntryPoint, why: str) -> EnvironmentProblem:
        package = entry.dist.name if entry.dist is not None else entry.value.partition(".")[0]
        return EnvironmentProblem(
            f"The package '{package}' adds the {self.what} '{entry.name}' ({entry.value}), which cannot be used: {why.rstrip('.')}.",
            fix=f"Mend the package, or uninstall it: pip uninstall {package}",
            package=package,
        )


def by_class(module: ModuleType) -> Mapping[str, type]:
    """Return the classes that a module defines with a ``kind`` of their own, by it."""
    classes = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)
    return {vars(kind)["kind"]: kind for kind in classes if isinstance(vars(kind).get("kind"), str)}


def by_constant(constant: str, attribute: str | None = None) -> Brings:
    """Return a function that takes from a module its constant: an object with its name in ``attribute``, else the name of the module's kind,
    which is then the module itself.
    """

    def brings(module: ModuleType) -> Mapping[str, Any]:
        held = getattr(module, constant, None)
        if held is None:
            return {}
        return {held: module} if attribute is None else {getattr(held, attribute): held}

    return brings


def marked(group: str, name: str) -> Callable[[K], K]:
    """Return a decorator by which a function or a class says that it is a kind, and how it is called."""

    def mark(kind: K) -> K:
        kind.__caudal_kind__ = (group, name)  # type: ignore[attr-defined]
        return kind

    return mark


def by_mark(group: str) -> Brings:
    """Return a function that takes from a module what it defines and marks as kinds of a group."""

    def brings(module: ModuleType) -> Mapping[str, Any]:
        marks = ((getattr(value, "__dict__", {}).get("__caudal_kind__"), value) for value in vars(module).values())
        return {mark[1]: value for mark, value in marks if mark and mark[0] == group and value.__module__ == module.__name__}

    return brings


def forget() -> None:
    """Forget all that was found, of every kind: packages were installed since."""
    _installed.cache_clear()
    for kinds in Kinds.every.values():
        kinds.forget()


@cache
def _files(folder: str) -> tuple[str, ...]:
    package, *rooms = folder.split(".")
    path = list(import_module(package).__path__)
    for room in rooms:  # without an import: a room's own module may load all that stands in it
        package = f"{package}.{room}"
        spec = PathFinder.find_spec(package, path)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError(f"There is no package {folder}", name=folder)
        path = list(spec.submodule_search_locations)
    return tuple(sorted(module.name for module in iter_modules(path) if not module.ispkg))


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """Return all entry points of groups of caudal's; a process reads them once, since that opens a file of each installed package."""
    from importlib.metadata import distributions  # as long to import as all declarations

    first: dict[str, tuple[EntryPoint, ...]] = {}
    for distribution in distributions():  # what comes first on Python's path hides what is there once more
        first.setdefault(distribution.name, tuple(distribution.entry_points))
    return tuple(entry for entries in first.values() for entry in entries if entry.group.startswith("caudal."))
