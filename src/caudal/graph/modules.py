"""Which modules are the user's, where they lie, and how they are loaded: from their source as it is now, each time."""

from __future__ import annotations

import ast
import importlib
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
_roots: set[Path] = set()  # product folders loaded in this process: what lies there is the user's, wherever it is
_fresh: dict[str, ModuleType] = {}  # modules that loading a product brought


class FromSource(SourceFileLoader):
    """Loads a file as it is now: a cached compilation can be of the text of a moment before."""

    text: bytes | None = None

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled source, and keep the source."""
        path = self.get_filename(fullname)
        self.text = self.get_data(path)
        code: CodeType = self.source_to_code(self.text, path)
        return code


class UserFinder(MetaPathFinder):
    """Finds what the other finders find, and has the user's modules loaded from source."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the specification of a module."""
        for finder in sys.meta_path:
            # A product that loads another while it is loaded has one of these finders more: each would ask the other for ever.
            if isinstance(finder, UserFinder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if type(spec.loader) is SourceFileLoader and spec.origin and is_users(spec.origin):
                    spec.loader = FromSource(name, spec.origin)
                return spec
        return None


@contextmanager
def users_modules(root: Path) -> Iterator[dict[str, ModuleType]]:
    """Have the user's modules that are imported in the block loaded from their source; the product's folder is looked in first.

    The dictionary that is given holds them when the block has ended.
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
            if of_user(sys.modules[name]):
                imported[name] = _fresh[name] = sys.modules[name]


def enter(root: Path) -> None:
    """Take a folder for a product's: what lies in it is the user's, and imports that its functions do later find it."""
    for other in _roots - {root}:
        while str(other) in sys.path[1:]:
            del sys.path[sys.path.index(str(other), 1)]
    _roots.add(root)
    is_users.cache_clear()
    if str(root) not in sys.path:
        sys.path.append(str(root))


def forget(names: Sequence[str]) -> None:
    """Take the user's modules of these names, and those that earlier products brought, out of what is imported: files may have changed."""
    importlib.invalidate_caches()
    for name in {*names, *(name for name, module in _fresh.items() if sys.modules.get(name) is module)}:
        if name != "__main__" and of_user(sys.modules.get(name)):
            del sys.modules[name]
    _fresh.clear()


def of_user(module: ModuleType | None) -> bool:
    """Tell whether a module is the user's: by its file, or by the folder of one that has none."""
    file = getattr(module, "__file__", None)
    return is_users(file) if file is not None else any(is_users(f"{place}/x") for place in getattr(module, "__path__", ()))


@cache
def is_users(file: str | None) -> bool:
    """Tell whether a file of code is the user's, not of Python, caudal or an installed package."""
    if not file or file.startswith("<"):
        return False
    path = Path(file).resolve()
    if any(path.is_relative_to(root) and not set(_INSTALLED) & set(path.relative_to(root).parts) for root in _roots):
        return True
    return not is_installed(path)


def is_installed(path: Path) -> bool:
    """Tell whether a path lies where Python, caudal and packages are installed."""
    return bool(set(_INSTALLED) & set(path.parts)) or any(path.is_relative_to(place) for place in _places())


@cache
def _places() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    return (
        *(Path(place).resolve() for name in names if (place := sysconfig.get_path(name))),
        Path(__file__).resolve().parent.parent,
    )


def locate(name: str, root: Path) -> str | None:
    """Return the file that an import of a name would load, without importing it; '' of a module without one, None where there is none."""
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
    """Yield the names that code imports, anywhere in it; True with those that may be no module but a value in one."""
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
    """All that a product's file imports, and what that imports: told from the sources alone.

    Attributes
    ----------
    origins : name → the file that it would be loaded from, '' or None as `locate` has it
    users : name → file, of the user's modules among them
    """

    def __init__(self, file: Path, root: Path) -> None:
        self.origins: dict[str, str | None] = {}
        self.users: dict[str, str] = {}
        self._root = root
        self._follow(str(file), "")

    @property
    def libraries(self) -> set[str]:
        """The top-level names of what is installed among them."""
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
        if top != name and not is_users(self.origins.get(top) or None) and self.origins.get(top) != "":
            return  # a part of a library is as old as the library
        origin = locate(name, self._root)
        if origin is None and perhaps:
            return
        self.origins[name] = origin
        if origin and is_users(origin):
            self.users[name] = origin
            self._follow(origin, name if Path(origin).stem == "__init__" else name.rpartition(".")[0])


def module_at(file: str, names: Mapping[str, ModuleType] | None = None) -> ModuleType | None:
    """Return the loaded module of a file."""
    return next((module for module in list((names or sys.modules).values()) if getattr(module, "__file__", None) == file), None)
