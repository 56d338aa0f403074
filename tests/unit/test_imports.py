"""Imports stand at the top of their modules, but where a light command would become heavy or a library may be missing (CONTRIBUTING)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import caudal

MOST = 4.0  # imports within functions, per 1,000 lines


@pytest.mark.slow
def test_few_imports_stand_within_functions() -> None:
    lines, within = 0, 0
    for file in Path(caudal.__file__).parent.rglob("*.py"):
        text = file.read_text()
        lines += text.count("\n")
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        within += len(
            {node for function in functions for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)}
        )
    assert lines > 50_000
    assert within / lines * 1000 < MOST
