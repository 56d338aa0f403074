"""The name of the product that a folder declares, where possible without running its file."""

from __future__ import annotations

import ast
from pathlib import Path

from caudal.graph.load import load, product_file


def product_name(folder: Path) -> str:
    """Return the name of the product that a folder declares.

    Where its file names it in one plain statement, the file is read and not run: running it imports whatever the product trains with.

    Raises
    ------
    NotThere : there is no such folder or file
    DeclarationProblem : the file has to be run, and cannot be
    """
    try:
        statements = ast.parse(product_file(folder).read_bytes()).body
    except (SyntaxError, ValueError):
        return load(folder).name
    names = [name for statement in statements if isinstance(statement, ast.Assign) and (name := _declared_name(statement.value))]
    return names[0] if len(names) == 1 else load(folder).name


def _declared_name(value: ast.expr) -> str | None:
    """Return the name in ``Product("name", …)``; None for any other expression."""
    if not isinstance(value, ast.Call) or not value.args:
        return None
    called = value.func.attr if isinstance(value.func, ast.Attribute) else value.func.id if isinstance(value.func, ast.Name) else ""
    name = value.args[0]
    return name.value if called == "Product" and isinstance(name, ast.Constant) and isinstance(name.value, str) else None
