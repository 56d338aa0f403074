"""caudal's command line in a process in which some packages are not installed: ``python tests/without.py dash,plotly console --home X``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any


class Without(MetaPathFinder):
    """A finder of modules that does not find some packages, nor what is below them."""

    def __init__(self, finder: Any, packages: Sequence[str]) -> None:
        self._finder, self._packages = finder, frozenset(packages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return what the finder finds, and nothing of the packages."""
        if any(name == package or name.startswith(f"{package}.") for package in self._packages):
            return None
        spec: ModuleSpec | None = self._finder.find_spec(name, path, target)
        return spec


def block(packages: Sequence[str]) -> None:
    """Let none of some packages be found in this process; one that was forked after imports forgets them, and what of caudal holds them."""
    sys.meta_path[:] = [Without(finder, packages) for finder in sys.meta_path]

    def is_blocked(name: object) -> bool:
        return isinstance(name, str) and any(name == package or name.startswith(f"{package}.") for package in packages)

    def holds(module: ModuleType) -> bool:
        values = list(vars(module).values())
        return any(is_blocked(value.__name__ if isinstance(value, ModuleType) else value.__module__)
                   for value in values if isinstance(value, ModuleType | type | FunctionType))  # fmt: skip

    for name, module in list(sys.modules.items()):
        if is_blocked(name) or (name.partition(".")[0] == "caudal" and holds(module)):
            del sys.modules[name]


if __name__ == "__main__":
    block(sys.argv[1].split(","))
    sys.argv = ["caudal", *sys.argv[2:]]
    from caudal.cli import main

    main()
