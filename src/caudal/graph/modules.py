"""The user's modules: which they are, where they are, and how they are loaded, always from the current source."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

PRODUCT = "caudal_product_"
_INSTALLED = ("site-packages", "dist-packages")
_roots: set[Path] = set()  # product folders loaded in this process: all files in them are the user's
_fresh: dict[str, ModuleType] = {}  # modules that loading a product imported


class FromSource(SourceFileLoader):
    """Loads a file from its current source: a cached compilation can be of an earlier text."""

    text: bytes | None = None

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled source; `text` then holds the source."""
        path = self.get_filename(fullname)
        self.text = self.get_data(path)
        code: CodeType = self.source_to_code(self.text, path)
        return code


class UserFinder(MetaPathFinder):
    """Finds modules by the other finders, and loads the user's modules from source."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the specification of a module."""
        for finder in sys.meta_path:
            # A product that loads another product installs a second UserFinder: without this the two would call each other endlessly.
            if isinstance(finder, UserFinder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if type(spec.loader) is SourceFileLoader and spec.origin and is_user_file(spec.origin):
                    spec.loader = FromSource(name, spec.origin)
                return spec
        return None


@contextmanager
def importing_user_modules(root: Path) -> Iterator[dict[str, ModuleType]]:
    """Load user modules that are imported in the block from their source, and search the product's folder first.

    The yielded dictionary holds these modules after the block has ended.
    """
    imported: dict[str, ModuleType] = {}
    finder, before = UserFinder(), set(sys.modules)
    sys.path.insert(0, str(root))
    sys.meta_path.insert(0, finder)
    try:
        yield imported
    finally:
        sys.meta_path.remove(finder)
        sys.path.remove(str(root))
        for name in set(sys.modules) - before:
            if is_user_module(sys.modules[name]):
                imported[name] = _fresh[name] = sys.modules[name]


def add_product_folder(root: Path) -> None:
    """Register a product's folder: its files are the user's, and later imports by its functions search it."""
    for other in _roots - {root}:
        while str(other) in sys.path[1:]:
            del sys.path[sys.path.index(str(other), 1)]
    _roots.add(root)
    is_user_file.cache_clear()
    _resolved_folder.cache_clear()
    if str(root) not in sys.path:
        sys.path.append(str(root))


def unload_modules(names: Sequence[str]) -> None:
    """Remove user modules of these names, and those of products loaded earlier, from ``sys.modules``: their files may have changed."""
    importlib.invalidate_caches()
    for name in {*names, *(name for name, module in _fresh.items() if sys.modules.get(name) is module)}:
        if name != "__main__" and is_user_module(sys.modules.get(name)):
            del sys.modules[name]
    _fresh.clear()


def is_user_module(module: ModuleType | None) -> bool:
    """Return whether a module is the user's: by its file, or by its folder where it has no file."""
    file = getattr(module, "__file__", None)
    return is_user_file(file) if file is not None else any(is_user_file(f"{place}/x") for place in getattr(module, "__path__", ()))


@cache
def is_user_file(file: str | None) -> bool:
    """Return whether a source file is the user's, and not of Python, caudal or an installed package."""
    if not file or file.startswith("<"):
        return False
    path = resolved(file)
    for root in map(_as_prefix, _roots):
        if os.path.normcase(path).startswith(root) and not set(_INSTALLED) & set(path[len(root) :].split(os.sep)):  # noqa: PTH206
            return True
    return not is_installed(Path(path))


def resolved(file: str) -> str:
    """Return the path of a file without links: a process asks for thousands, which lie in some hundred folders."""
    folder, name = os.path.split(file)
    path = os.path.join(_resolved_folder(folder), name)  # noqa: PTH118 — a Path for each of the files costs more than all else
    return os.path.realpath(path) if os.path.islink(path) else path  # noqa: PTH114


@cache
def _resolved_folder(folder: str) -> str:
    return os.path.realpath(folder)


@cache
def _as_prefix(folder: Path) -> str:
    return os.path.normcase(os.path.join(folder, ""))  # noqa: PTH118


def is_installed(path: Path) -> bool:
    """Return whether a path lies where Python, caudal and packages are installed."""
    return bool(set(_INSTALLED) & set(path.parts)) or os.path.normcase(path).startswith(tuple(map(_as_prefix, _places())))


@cache
def _places() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    return (
        *(Path(place).resolve() for name in names if (place := sysconfig.get_path(name))),
        Path(__file__).resolve().parent.parent,
    )


def locate(name: str, root: Path) -> str | None:
    """Return the file that an import would load, without importing it; '' for a module without a file, None for no module."""
    path: Sequence[str] = [str(root), *sys.path]
    parts, spec = name.split("."), None
    for depth in range(len(parts)):
        spec = _spec(".".join(parts[: depth + 1]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return (spec.origin if spec is not None and spec.has_location else "") or ""


def _spec(name: str, path: Sequence[str]) -> ModuleSpec | None:
    for finder in [*(finder for finder in sys.meta_path if not isinstance(finder, UserFinder)), PathFinder]:
        try:
            spec: ModuleSpec | None = finder.find_spec(name, path) if hasattr(finder, "find_spec") else None
        except Exception:
            continue
        if spec is not None:
            return spec
    return None


def imports_of(tree: ast.AST, package: str) -> Iterator[tuple[str, bool]]:
    """Yield the names that code imports, each with whether it may be a value in a module instead of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, False
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".") if package else []
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            if base:
                yield base, False
            for name in node.names:
                if name.name != "*":
                    yield (f"{base}.{name.name}" if base else name.name), True


def with_parents(name: str) -> list[str]:
    """Return a module's name after those of the packages that it is in.

    Examples
    --------
    >>> with_parents("a.b.c")
    ['a', 'a.b', 'a.b.c']
    """
    parts = name.split(".")
    return [".".join(parts[: depth + 1]) for depth in range(len(parts))]


class Imports:
    """All modules that a product's file imports, directly or indirectly, as its sources show.

    Attributes
    ----------
    origins : name → the file that it would be loaded from, '' or None as `locate` returns it
    users : name → file, for the user's modules
    """

    def __init__(self, file: Path, root: Path) -> None:
        self.origins: dict[str, str | None] = {}
        self.users: dict[str, str] = {}
        self._root = root
        self._follow(str(file), "")

    @property
    def libraries(self) -> set[str]:
        """The top-level names of the installed libraries among them."""
        tops = {name.partition(".")[0] for name, origin in self.origins.items() if origin is not None and name not in self.users}
        of_users = {name.partition(".")[0] for name in self.users}
        return {name for name in tops if name not in of_users and name not in sys.stdlib_module_names}

    def _follow(self, file: str, package: str) -> None:
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return
        for name, perhaps in imports_of(tree, package):
            for module in with_parents(name):
                self._add(module, perhaps and module == name)

    def _add(self, name: str, perhaps: bool) -> None:
        if name in self.origins or name.partition(".")[0] in ("caudal", *sys.builtin_module_names):
            return
        top = name.partition(".")[0]
        if top != name and not is_user_file(self.origins.get(top) or None) and self.origins.get(top) != "":
            return  # a submodule of a library has the library's version
        origin = locate(name, self._root)
        if origin is None and perhaps:
            return
        self.origins[name] = origin
        if origin and is_user_file(origin):
            self.users[name] = origin
            self._follow(origin, name if Path(origin).stem == "__init__" else name.rpartition(".")[0])


def module_at(file: str, names: Mapping[str, ModuleType] | None = None) -> ModuleType | None:
    """Return the loaded module of a file."""
    return next((module for module in list((names or sys.modules).values()) if getattr(module, "__file__", None) == file), None)
