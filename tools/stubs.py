"""Write what editors and type checkers see of ``caudal`` and ``caudal.expect``: ``python tools/stubs.py``. A test holds them to the code.

At run time the names of both are found by registration, which no type checker carries out. A stub says from which file each name comes, so
that its signature and its docstring are those of the code.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import caudal
import caudal.expect
from caudal.kinds import EXPECTATIONS
from caudal.words import module_of

SOURCE = Path(caudal.__file__).parent
HEAD = "# Written by tools/stubs.py.\n# ruff: noqa\n# fmt: off\n"
WIDTH = 110


def stubs() -> dict[Path, str]:
    """Return the text of each stub."""
    declared = {name: _module_of(name) for name in caudal.__all__}
    expectations = {name: EXPECTATIONS.module(name).__name__ for name in sorted(EXPECTATIONS.own())}
    return {
        SOURCE / "__init__.pyi": _stub(caudal.__doc__, declared, caudal) + "\n__version__: str\n",
        SOURCE / "expect.pyi": _stub(caudal.expect.__doc__, expectations, caudal.expect),
    }


def write() -> None:
    """Write the stubs."""
    for file, text in stubs().items():
        file.write_text(text, encoding="utf-8")


def _module_of(name: str) -> str:
    """Return the module that defines a name."""
    value = getattr(caudal, name)
    if inspect.isfunction(value) or inspect.isclass(value):
        return str(value.__module__)
    module = module_of(name)
    if module is not None:
        return module
    return next(
        f"caudal.declarations.{file.stem}" for file in sorted((SOURCE / "declarations").glob("*.py")) if _defines(file, name)
    )


def _defines(file: Path, name: str) -> bool:
    return any(line.startswith((f"{name} =", f"{name}:")) for line in file.read_text(encoding="utf-8").splitlines())


def _stub(doc: str | None, modules: dict[str, str], package: Any) -> str:
    lines = [HEAD, f'"""{doc}"""\n']
    for name in sorted(modules, key=lambda name: (modules[name], name)):
        summary = _summary(getattr(package, name))
        lines.append(f"from {modules[name]} import {name} as {name}" + (f"  # {summary}" if summary else ""))
    return "\n".join([*lines, "\n__all__ = [", *(f'    "{name}",' for name in sorted(modules)), "]"]) + "\n"


def _summary(value: Any) -> str:
    """Return the first line of a docstring."""
    if not (inspect.isfunction(value) or inspect.isclass(value)):
        return ""
    line = (inspect.getdoc(value) or "").partition("\n")[0]
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


if __name__ == "__main__":
    write()
