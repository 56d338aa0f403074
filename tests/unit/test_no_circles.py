"""No file of caudal imports another that leads back to it, at the top of a module or within a function.

Imports under ``if TYPE_CHECKING`` may: they are never carried out, and only tell type checkers what a name is. A package stands for its
``__init__``; that Python runs it before a submodule is not counted, since every ``__init__`` with submodules only names what these hold.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

import caudal

SOURCE = Path(caudal.__file__).parent


def modules(root: Path) -> dict[str, Path]:
    """Return the file of each module of a package, by its dotted name."""
    names = {file: file.relative_to(root.parent).with_suffix("").parts for file in root.rglob("*.py")}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): file for file, parts in names.items()}


def executed(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that may be carried out: all of them but those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                yield from executed(ast.Module([other], []))
        else:
            yield from executed(node)


def imports(name: str, file: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of the package that one of them imports."""
    targets: set[str] = set()
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in executed(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
            continue
        parts = package[: len(package) - node.level + 1] if node.level else []
        source = ".".join([*parts, *([node.module] if node.module else [])])
        # What is imported from a package may be one of its modules, or a name that its __init__ gives.
        targets |= {whole if (whole := f"{source}.{alias.name}") in known else source for alias in node.names}
    return (targets & known.keys()) - {name}


def circle(root: Path) -> list[str]:
    """Return modules each of which imports the next, the last being the first; nothing where there is no circle."""
    known = modules(root)
    graph = {name: imports(name, file, known) for name, file in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        path: list[str] = error.args[1]
        return path[::-1]
    return []


@pytest.mark.slow
def test_no_file_leads_back_to_itself() -> None:
    assert len(modules(SOURCE)) > 400
    assert " → ".join(circle(SOURCE)) == ""


@pytest.mark.parametrize(
    ("back", "path"),
    [
        ("from pack.a import x", ["pack.a", "pack.b", "pack.a"]),
        ("import pack.a", ["pack.a", "pack.b", "pack.a"]),
        ("from . import a", ["pack.a", "pack.b", "pack.a"]),
        ("def late():\n    from .a import x", ["pack.a", "pack.b", "pack.a"]),
        ("try:\n    from pack.c import x\nexcept ImportError:\n    pass", ["pack.a", "pack.b", "pack.c", "pack.a"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.a import x\nelse:\n    from pack.c import x", ["pack.a", "pack.b", "pack.c", "pack.a"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.a import x", []),
        ("import ast", []),
    ],
)  # fmt: skip
def test_a_circle_is_seen_wherever_the_import_stands(back: str, path: list[str], tmp_path: Path) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from pack.b import y\n")
    (package / "b.py").write_text(back + "\n")
    (package / "c.py").write_text("from pack import a\n")
    seen = circle(package)
    assert len(seen) == len(path)
    assert set(seen) == set(path)
    # Wherever it is entered, the order is that of the imports.
    assert set(pairwise(seen)) <= set(pairwise(path))
