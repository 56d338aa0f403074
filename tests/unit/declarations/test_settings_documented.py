"""Every variable that caudal reads is in docs/settings.md."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from caudal.declarations.settings import Settings

ROOT = Path(__file__).parents[3]
# What caudal says to Spark's processes and hears from its queries; nobody sets them.
OWN = {"CAUDAL_PYSPARK_INSTALLED", "CAUDAL_SOURCES", "CAUDAL_WORKER", "CAUDAL_UNUSUAL_MAGNITUDE"}


def test_every_variable_is_documented() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    variables = set(re.findall(r"CAUDAL_[A-Z][A-Z_]*[A-Z]", source)) - OWN
    variables |= {f"CAUDAL_{field.name.upper()}" for field in fields(Settings)} - {
        "CAUDAL_SPARK",
        "CAUDAL_PLATFORMS",
    }  # sections of caudal.toml
    documented = set(re.findall(r"CAUDAL_[A-Z_]*[A-Z]", (ROOT / "docs" / "settings.md").read_text()))
    assert variables - documented == set()
