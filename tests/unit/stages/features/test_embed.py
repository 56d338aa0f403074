"""Embedding in Spark gives what the network gives for each image by itself; what is no image has its reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import caudal as cd
import caudal.stages.features.embed as embed_module
from caudal.declarations.build_context import build_context
from caudal.errors import DeclarationProblem
from caudal.stages.features.embed import DEVICE, Embedder, embed_image
from caudal.stages.images import decode, network

onnxruntime = pytest.importorskip("onnxruntime")

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
    assert not any("GPU" in note for note in noted["plan"])


def test_a_gpu_that_is_not_there_is_done_without(spark, photographs: list[bytes]) -> None:
    images = spark.createDataFrame([(str(i), one) for i, one in enumerate(photographs)], "sha256 string, content binary")
    plain = {row["sha256"]: row["embedding"] for row in cd.embed(images, network=LITE0, size=64, floor=64).collect()}
    spark.conf.set(DEVICE, "cuda")
    try:
        with build_context() as made:
            rows = {row["sha256"]: row["embedding"] for row in cd.embed(images, network=LITE0, size=64, floor=64).collect()}
        spark.conf.set(DEVICE, "gpu")
        with pytest.raises(DeclarationProblem, match="is 'gpu'"):
            cd.embed(images, network=LITE0, size=64, floor=64)
    finally:
        spark.conf.unset(DEVICE)
    on_gpu = len(photographs) if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else 0
    assert made.notes(Path())["embedding"]["plan"][-1] == f"Images computed on a GPU: {on_gpu}."
    assert on_gpu or rows == plain


class GpuThatGoes:
    """A session that says that it computes on a GPU, and loses it after one batch."""

    def __init__(self, content: bytes) -> None:
        self._session, self._batches = network.inference_session(content), 0
        self.get_inputs = self._session.get_inputs

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self._batches += 1
        if self._batches > 1:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return self._session.run(outputs, inputs)


def test_what_a_gpu_had_not_done_when_it_went_is_done_by_the_processor(
    photographs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network.load_model(LITE0)
    pixels = np.stack([decode.pixels(photograph, 64, 40_000_000) for photograph in photographs[:3]])
    without = Embedder(model, on_gpu=False)
    real = network.inference_session
    monkeypatch.setattr(
        embed_module, "inference_session", lambda content, on_gpu=False: GpuThatGoes(content) if on_gpu else real(content)
    )
    embedder = Embedder(model, on_gpu=True)
    vectors = [embedder(pixels), embedder(pixels), embedder(pixels[:1])]
    assert embedder.images_on_gpu == 3
    for vector, images in zip(vectors, (pixels, pixels, pixels[:1]), strict=True):
        assert np.array_equal(vector, without(images))


@pytest.mark.parametrize("asked", [{"size": 100}, {"size": 160, "floor": 224}, {"content": "pixels"}])
def test_what_cannot_be_asked_is_told(spark, asked: dict) -> None:
    images = spark.createDataFrame([], "sha256 string, content binary")
    with pytest.raises(DeclarationProblem):
        cd.embed(images, network=LITE0, **asked)
