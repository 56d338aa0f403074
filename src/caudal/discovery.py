"""Registries of kinds: each kind is a file of a folder, or a module that another package names by an entry point.

Files and modules have the same form, so that a kind can move from one to the other unchanged. Nothing is imported before its first use,
and where a file has the name of its kind, a lookup of that kind imports only that file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
"""Returns the kinds that a module defines, by name; none for a helper module."""


class Kinds(Mapping[str, K], Generic[K]):
    """A registry of kinds by name: those of caudal's folder, ordered by ``ORDER`` in their files and then by name, before those of other
    packages, ordered by name.

    Parameters
    ----------
    what : str, the word for a kind in sentences, such as ``expectation``
    group : str, the group of entry points for other packages, without ``caudal.``
    folder : str, dotted name of the package with caudal's kinds
    brings : returns the kinds that a module defines; ``by_class``, ``by_constant`` and ``by_mark`` create such functions

    Raises
    ------
    EnvironmentProblem : at a lookup, if a kind of another package cannot be used; the error names the package
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
        """Return the names of the folder's files, including helper modules; none of them is imported."""
        return _files(self.folder)

    def has_file(self, name: str) -> bool:
        """Return whether a kind of caudal has a file of its name; no other file is imported."""
        return name in self.files() and name in self._of_file(name)

    def own(self) -> tuple[str, ...]:
        """Return the names of caudal's kinds."""
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
        """Return the module that defines a kind."""
        self[name]
        return self._modules[name]

    def forget(self) -> None:
        """Clear the caches, so that the next lookup searches again."""
        self._all, self._added, self._modules = None, None, {}

    def _found(self) -> dict[str, K]:
        if self._all is None:
            ordered: list[tuple[int, str, K]] = []
            for file in self.files():
                brought = self._of_file(file)
                order = getattr(import_module(f"{self.folder}.{file}"), "ORDER", 1000)
                ordered += [(order, name, kind) for name, kind in brought.items()]
            caudal_kinds = {name: kind for _, name, kind in sorted(ordered, key=lambda entry: entry[:2])}
            self._all = {**caudal_kinds, **self.added()}
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
            raise self._unusable(entry, f"it is not a module that defines one, as the files of {self.folder} do")
        for name in brought:
            if (name in self._modules and self._modules[name] is not module) or self.has_file(name):
                raise self._unusable(entry, f"there is already one with the name '{name}'")
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
    """Return the classes of a module that define ``kind``, by its value."""
    classes = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)
    return {vars(kind)["kind"]: kind for kind in classes if isinstance(vars(kind).get("kind"), str)}


def by_constant(constant: str, attribute: str | None = None) -> Brings:
    """Return a function that reads a constant of a module: an object with its name in ``attribute``; without ``attribute`` the constant is the
    name, and the module is the kind.
    """

    def brings(module: ModuleType) -> Mapping[str, Any]:
        value = getattr(module, constant, None)
        if value is None:
            return {}
        return {value: module} if attribute is None else {getattr(value, attribute): value}

    return brings


def mark_kind(group: str, name: str) -> Callable[[K], K]:
    """Return a decorator that marks a function or a class as a kind of a group, with its name."""

    def mark(kind: K) -> K:
        kind.__caudal_kind__ = (group, name)  # type: ignore[attr-defined]
        return kind

    return mark


def by_mark(group: str) -> Brings:
    """Return a function that returns the objects that a module defines and marks as kinds of a group."""

    def brings(module: ModuleType) -> Mapping[str, Any]:
        marks = ((getattr(value, "__dict__", {}).get("__caudal_kind__"), value) for value in vars(module).values())
        return {mark[1]: value for mark, value in marks if mark and mark[0] == group and value.__module__ == module.__name__}

    return brings


def forget_kinds() -> None:
    """Clear the caches of all registries, so that packages installed since are found."""
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
    """Return all entry points of caudal's groups; a process reads them once, since that opens a file of each installed package."""
    from importlib.metadata import distribution, distributions  # its import takes as long as that of all declarations

    def of_caudal(entries: Iterable[EntryPoint]) -> tuple[EntryPoint, ...]:
        return tuple(entry for entry in entries if entry.group.startswith("caudal."))

    # Only a package that adds something is asked for its name, which is parsed from its metadata: to parse those of all packages takes most of the time.
    names = {found.name for found in distributions() if of_caudal(found.entry_points)}
    # The first distribution of a name on Python's path hides the others.
    return tuple(entry for name in sorted(names) for entry in of_caudal(distribution(name).entry_points))
