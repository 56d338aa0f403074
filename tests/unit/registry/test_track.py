"""MLflow's store below the home: made once of each version, then copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from caudal.registry import track


def experiments(client) -> dict[str, str]:
    return {one.name: one.artifact_location for one in client.search_experiments()}


@pytest.mark.slow
def test_a_second_home_has_a_store_of_its_own_without_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUDAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    track._silence_mlflow()
    first = track._client(tmp_path / "first" / "home")
    first.create_experiment("mine", artifact_location=(tmp_path / "artifacts").as_uri())
    kept = list((tmp_path / "cache" / "mlflow").iterdir())
    assert [one.suffix for one in kept] == [".db"]
    before = kept[0].read_bytes()

    from mlflow.store.db import utils

    monkeypatch.setattr(utils, "_upgrade_db", lambda engine: pytest.fail("migrated again"))
    monkeypatch.setattr(utils, "_initialize_tables", lambda engine: pytest.fail("made again"))
    monkeypatch.chdir(tmp_path / "second")
    second = track._client(tmp_path / "second" / "home")
    assert set(experiments(first)) == {"Default", "mine"}
    assert set(experiments(second)) == {"Default"}
    assert str(tmp_path / "second") in experiments(second)["Default"]
    assert kept[0].read_bytes() == before
    assert not list((tmp_path / "second" / "home").glob(".*"))
