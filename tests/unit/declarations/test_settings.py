"""Settings: flags over variables over file over defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from caudal.declarations.settings import settings
from caudal.errors import DeclarationProblem


def test_the_order_of_precedence(tmp_path):
    (tmp_path / "caudal.toml").write_text('home = "from-file"\nmemory = "2g"\n[spark]\n"sql.x" = 3\n')
    assert settings(tmp_path, {}).home == tmp_path / "from-file"
    assert settings(tmp_path, {"CAUDAL_HOME": "/from-variable"}).home == Path("/from-variable")
    assert settings(tmp_path, {"CAUDAL_HOME": "/from-variable"}, home=Path("/from-flag")).home == Path("/from-flag")
    assert settings(tmp_path, {}).memory == "2g"
    assert settings(tmp_path / "below", {}).spark == {"sql.x": "3"}


def test_what_is_wrong_is_said(tmp_path):
    (tmp_path / "caudal.toml").write_text("hom = 'x'\n")
    with pytest.raises(DeclarationProblem, match="Did you mean 'home'"):
        settings(tmp_path, {})
    (tmp_path / "caudal.toml").write_text("home = \n")
    with pytest.raises(DeclarationProblem, match="cannot be read"):
        settings(tmp_path, {})
    (tmp_path / "caudal.toml").write_text("")
    with pytest.raises(DeclarationProblem, match="cores"):
        settings(tmp_path, {"CAUDAL_CORES": "two"})
