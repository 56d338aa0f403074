"""Where the cache lies: where the user says, else where the system keeps caches, else where an earlier caudal has made one."""

from __future__ import annotations

import sys

import pytest
from platformdirs import user_cache_path

from caudal.engine.cache import cache_dir


def test_the_variable_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CAUDAL_CACHE", str(tmp_path / "own"))
    assert cache_dir("jars") == tmp_path / "own" / "jars"


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="XDG's folders are Linux's")
def test_caches_of_before_are_where_they_were(tmp_path, monkeypatch):
    monkeypatch.delenv("CAUDAL_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir("jars") == tmp_path / ".cache" / "caudal" / "jars"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir("jars") == tmp_path / "xdg" / "caudal" / "jars"


def test_another_system_has_its_own_place_unless_there_is_one_already(tmp_path, monkeypatch):
    monkeypatch.delenv("CAUDAL_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("caudal.engine.cache.user_cache_path", lambda *_, **__: tmp_path / "Library" / "Caches" / "caudal")
    assert cache_dir() == tmp_path / "Library" / "Caches" / "caudal"
    (tmp_path / ".cache" / "caudal").mkdir(parents=True)
    assert cache_dir() == tmp_path / ".cache" / "caudal"
    assert user_cache_path("caudal", appauthor=False).name in ("caudal", "Cache")
