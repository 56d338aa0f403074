"""The connectors are fetched once, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from caudal.errors import EnvironmentProblem, NotThere
from caudal.spark import connectors


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the resolver look only at an empty folder."""
    (tmp_path / "empty").mkdir()
    settings = tmp_path / "ivy.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="none"/><resolvers>'
        f'<filesystem name="none"><artifact pattern="{tmp_path}/empty/[artifact].[ext]"/></filesystem></resolvers></ivysettings>'
    )
    monkeypatch.setenv("CAUDAL_IVY_SETTINGS", str(settings))


def test_unknown_connector_names_the_nearest() -> None:
    with pytest.raises(NotThere, match="Did you mean 'avro'"):
        connectors.jars({"arvo"})


@pytest.mark.slow
def test_second_time_needs_no_network(no_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_settings = str(tmp_path / "ivy.xml")
    monkeypatch.delenv("CAUDAL_IVY_SETTINGS")
    monkeypatch.setenv("CAUDAL_CACHE", str(tmp_path / "cache"))
    first = connectors.jars({"avro"})
    monkeypatch.setenv("CAUDAL_IVY_SETTINGS", shared_settings)
    assert connectors.jars({"avro"}) == first
    # Spark has the others that Avro asks for; a second copy of them would be asking for trouble.
    assert [connectors.artifact(jar.name) for jar in first] == ["org.apache.spark_spark-avro_2.13"]


@pytest.mark.slow
def test_failed_resolution_leaves_nothing_and_says_what_to_do(
    no_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUDAL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EnvironmentProblem, match=r"'avro' cannot be fetched.*spark-avro.*CAUDAL_IVY_SETTINGS"):
        connectors.jars({"avro"})
    assert list((tmp_path / "cache" / "connectors").iterdir()) == []
