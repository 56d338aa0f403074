"""A comparison made by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def made() -> ModuleType:
    """The module that makes documents; this folder is no package."""
    spec = importlib.util.spec_from_file_location("compare_sample", Path(__file__).with_name("sample.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
