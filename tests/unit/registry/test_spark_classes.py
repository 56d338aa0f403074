"""The classes of a stored Spark ML model are read from the very files that Spark reads, and from no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caudal.errors import EnvironmentProblem
from caudal.registry import artifact

PART = "part-00000-6f1c1c1e-3f0a-4b6e-9a53-0e7d8f5b2a11-c000.txt"
PIPELINE = "org.apache.spark.ml.PipelineModel"


def put(folder: Path, file: str, name: str = PIPELINE, after: str = "\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps({"class": name, "uid": "u"}) + after)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    model = tmp_path / "m" / "sparkml"
    put(model / "metadata", PART)
    (model / "metadata" / "_SUCCESS").write_text("")
    put(model / "stages" / "0_e_1" / "metadata", "part-00000", "org.apache.spark.ml.feature.Binarizer")
    (model / "stages" / "0_e_1" / "data").mkdir()
    (model / "stages" / "0_e_1" / "data" / "part-00000-x.snappy.parquet").write_bytes(b"PAR1")
    return tmp_path / "m"


def classes(folder: Path) -> list[str]:
    return list(artifact._spark_classes(artifact._files(folder, "model"), folder, "model"))


def test_what_spark_writes_is_read(stored: Path) -> None:
    assert sorted(classes(stored)) == [PIPELINE, "org.apache.spark.ml.feature.Binarizer"]


@pytest.mark.parametrize(
    "add",
    [
        lambda metadata: put(metadata, "a", "evil.Model"),
        lambda metadata: put(metadata, "part-00001", "evil.Model"),
        lambda metadata: put(metadata, "_hidden", "evil.Model"),
        lambda metadata: put(metadata, ".part-00000.crc", "evil.Model"),
        lambda metadata: put(metadata, "part-00000.gz", "evil.Model"),
        lambda metadata: put(metadata / "day=1", "part-00000", "evil.Model"),
        lambda metadata: put(metadata, PART, after="\n" + json.dumps({"class": "evil.Model"}) + "\n"),
        lambda metadata: put(metadata, PART, after="\r" + json.dumps({"class": "evil.Model"})),
        lambda metadata: (metadata / PART).write_text(f'{{"class": "evil.Model", "class": "{PIPELINE}"}}'),
        lambda metadata: (metadata / PART).write_text("[]"),
        # The one file there is, as Spark would unpack it, or pass it over and find the folder empty.
        lambda metadata: (metadata / "part-00000").rename(metadata / "part-00000.gz"),
        lambda metadata: (metadata / "part-00000").rename(metadata / "_part-00000"),
        lambda metadata: (metadata / "part-00000").rename(metadata / "anything"),
    ],
)  # fmt: skip
def test_whatever_else_spark_could_read_there_is_refused(stored: Path, add: object) -> None:
    add(stored / "sparkml" / "stages" / "0_e_1" / "metadata")  # type: ignore[operator]
    started: list[bool] = []
    with pytest.raises(EnvironmentProblem, match=r"which Spark ML has not written and could read"):
        artifact.read_spark(stored, artifact.model_digest(stored), lambda: started.append(True), "model")  # type: ignore[arg-type]
    assert not started
