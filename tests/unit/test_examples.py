"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import caudal

ROOT = Path(caudal.__file__).parent
MODULES = sorted(file for file in ROOT.rglob("*.py") if ">>> " in file.read_text())


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_examples_give_what_they_say(file: Path) -> None:
    module = import_module(".".join(("caudal", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"))
    results = doctest.testmod(module)
    assert results.attempted
    assert not results.failed
