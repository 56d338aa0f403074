"""A public name lives in one module (CONTRIBUTING, "How it reads"): who reads a call knows whose function it is, and no import is renamed."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import caudal

ROOT = Path(caudal.__file__).parent
# What each file of a folder of kinds defines by the same names (docs/kinds.md): the beginning of the line that makes a file a kind, and the names.
FORMS = {
    "batch/steps": ("STEPS", {"work"}),
    "console/pages": ("PAGE", {"layout", "offer"}),
    "debt/kinds": ("DEBT", {"find_debt"}),
    "inspection/probes": ("PROBE", {"findings"}),
    "ledger/migrations/versions": ("revision", {"upgrade"}),
    "messaging/wire": ("WIRE", {"encode", "decode", "decode_many"}),
    "stages/ingest": ("@fetches", {"fetch"}),
    "stages/ingest/formats": ("FORMAT", {"inspect", "frame", "parts", "fault"}),
    "stages/ingest/packings": ("PACKING", {"open_file", "fault"}),
    "stages/ingest/streams": ("KIND", {"frame", "tap"}),
    "stages/metrics": ("METRIC", {"score"}),
    "streaming/executors": ("EXECUTOR", {"connectors", "engine"}),
    "streaming/outlets": ("OUTLET", {"sender"}),
}
# Names with two homes, and why; this list only becomes shorter.
ALLOWED = {
    "State": "one is in stored checkpoints of streams, the other in the OpenAPI document of the served models",
    "Table": "a declaration, and the task of Luigi's that other people's pipelines import (docs/luigi.md)",
}


def _is_kind(text: str, marker: str) -> bool:
    return re.search(rf"^{re.escape(marker)}\b", text, re.MULTILINE) is not None


def _defined(file: Path) -> set[str]:
    """Return the public functions and classes at the top of a module, without those that a kind must define by that name."""
    text = file.read_text()
    marker, form = FORMS.get(file.parent.relative_to(ROOT).as_posix(), ("", set[str]()))
    is_kind = bool(marker) and _is_kind(text, marker)
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    return {name for name in names if not name.startswith("_") and not (is_kind and name in form)}


def test_a_public_name_lives_in_one_module() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for file in sorted(ROOT.rglob("*.py")):
        for name in _defined(file):
            homes[name].append(file.relative_to(ROOT).as_posix())
    assert len(homes) > 1_500
    shared = {name: modules for name, modules in homes.items() if len(modules) > 1}
    assert {name: modules for name, modules in shared.items() if name not in ALLOWED} == {}
    assert ALLOWED.keys() == shared.keys(), "a name has one home now: take it off the list"


@pytest.mark.slow
def test_no_other_module_uses_a_name_that_kinds_define() -> None:
    form_names = {name for _, names in FORMS.values() for name in names}
    others = {
        file.relative_to(ROOT).as_posix(): names for file in sorted(ROOT.rglob("*.py")) if (names := _defined(file) & form_names)
    }
    assert others == {}


def test_some_file_of_each_folder_defines_each_name_of_its_form() -> None:
    for folder, (marker, names) in FORMS.items():
        texts = [file.read_text() for file in sorted((ROOT / folder).glob("*.py"))]
        kinds = [text for text in texts if _is_kind(text, marker)]
        for name in names:
            assert any(f"def {name}(" in text for text in kinds), f"{folder}: {name}"
