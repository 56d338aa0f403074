"""Embedding in Spark gives what the network gives for each image by itself; what is no image has its reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import caudal as cd
from caudal.declarations.build_context import build_context
from caudal.errors import DeclarationProblem
from caudal.stages.features.embed import embed_image

pytest.importorskip("onnxruntime")

LITE0 = cd.network("efficientnet-lite0")


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> list[bytes]:
    folder = shared_data / "fruits" / "grocery"
    return [sorted((folder / kind).glob("*.jpg"))[0].read_bytes() for kind in ("Apple", "Banana", "Kiwi", "Lemon", "Pear")]


def test_rows_are_embedded_and_faults_are_told(spark, photographs: list[bytes]) -> None:
    contents = [*photographs[:3], photographs[0][:3000], None, b"no image", *photographs[3:]]
    images = spark.createDataFrame([(str(i), one) for i, one in enumerate(contents)], "sha256 string, content binary").coalesce(1)
    with build_context() as made:
        frame = cd.embed(images, network=LITE0, size=64, floor=64, batch=2)
        rows = {row["sha256"]: row for row in frame.collect()}
    assert frame.columns == ["sha256", "network", "embedding", "_format_errors", "_raw"]
    for i, content in enumerate(contents):
        row = rows[str(i)]
        if i in (3, 4, 5):
            assert row["embedding"] is None
            assert row["_format_errors"][0].startswith("image ")
            assert json.loads(row["_raw"]) == {"sha256": str(i)}
        else:
            assert row["_format_errors"] is None
            assert np.array(row["embedding"]) == pytest.approx(embed_image(content, LITE0, 64), abs=1e-5)
    assert rows["0"]["network"].startswith("efficientnet-lite0@")
    noted = made.notes(Path())["embedding"]
    assert noted["images"] == len(contents)
    assert noted["seconds"]["infer"] > 0


@pytest.mark.parametrize("asked", [{"size": 100}, {"size": 160, "floor": 224}, {"content": "pixels"}])
def test_what_cannot_be_asked_is_told(spark, asked: dict) -> None:
    images = spark.createDataFrame([], "sha256 string, content binary")
    with pytest.raises(DeclarationProblem):
        cd.embed(images, network=LITE0, **asked)
