"""The connectors are fetched once, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from caudal.engine import connectors
from caudal.errors import EnvironmentProblem, NotThere


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


def test_drivers_of_the_user_s_are_jars_or_coordinates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUDAL_CACHE", str(tmp_path / "cache"))
    for name in ("a_driver.jar", "b_driver.jar"):
        (tmp_path / name).touch()
    both = {str(tmp_path / "a_driver.jar"), str(tmp_path / "b_driver.jar")}
    assert {str(jar) for jar in connectors.jars(both)} == both
    with pytest.raises(NotThere, match=r"There is no jar '.*/a_drivers.jar'. Did you mean 'a_driver.jar'\?"):
        connectors.jars({str(tmp_path / "a_drivers.jar")})
    newer, ours = connectors.cached_jars_folder("org.postgresql:postgresql:43.0"), connectors.cached_jars_folder("postgresql")
    for kept, version in ((newer, "43.0"), (ours, "42.7.8")):
        kept.mkdir(parents=True)
        (kept / f"org.postgresql_postgresql-{version}.jar").touch()
    # The version that the user names is the one that Spark has.
    assert connectors.jars({"org.postgresql:postgresql:43.0", "postgresql"}) == [newer / "org.postgresql_postgresql-43.0.jar"]
    assert newer.name.startswith("postgresql-")


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
