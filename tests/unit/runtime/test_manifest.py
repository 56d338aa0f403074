"""What a run that succeeded is known by the next time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from caudal.runtime import manifest


def test_modules_from_elsewhere_count_as_long_as_they_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "elsewhere" / "rules_of_ours.py"
    file.parent.mkdir()
    file.write_text("least = 1\n")
    found = importlib.util.spec_from_file_location("rules_of_ours", file)
    assert found is not None
    monkeypatch.setitem(sys.modules, "rules_of_ours", importlib.util.module_from_spec(found))
    assert file.resolve() in manifest._user_modules_elsewhere(tmp_path / "product")
    assert file.resolve() not in manifest._user_modules_elsewhere(file.parent.resolve())
    file.unlink()  # such as another product's, run before in this process and removed since
    assert file.resolve() not in manifest._user_modules_elsewhere(tmp_path / "product")
