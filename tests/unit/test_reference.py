"""docs/reference.md says what the code does: signatures, metrics, gates."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import caudal
from caudal.declarations.metrics import METRICS, needs_probabilities
from caudal.kinds import GATES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_signatures_are_those_of_the_code() -> None:
    reference = tool()
    assert reference.documented() == reference.signatures().strip() + "\n", "run: python tools/reference.py"


def test_every_public_function_is_in_a_group() -> None:
    functions = {name for name in caudal.__all__ if inspect.isfunction(getattr(caudal, name))}
    assert {name for names in tool().GROUPS.values() for name in names} == functions


def test_the_metrics_and_their_directions_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (regression|classification) \| `(\w+)` \| (lower|higher) \| (.*) \|$", TEXT, re.MULTILINE)
    assert [row[:3] for row in rows] == [(task, name, better) for task, names in METRICS.items() for name, better in names.items()]
    assert [name for _, name, _, what in rows if "predict_proba" in what] == [
        name for _, name, _, _ in rows if needs_probabilities(name)
    ]
    assert [name for _, name, _, what in rows if "the default" in what] == ["mae", "log_loss"]


def test_every_gate_is_told() -> None:
    assert set(re.findall(r"^\| `cd\.(\w+)\(", TEXT, re.MULTILINE)) == set(GATES)
