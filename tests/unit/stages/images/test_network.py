"""The network: the published weights, in a graph of our own, see in photographs what they were trained to see."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

import caudal as cd
from caudal.errors import DeclarationProblem
from caudal.graph.fingerprint import function_digest
from caudal.stages.images import network, weights
from caudal.stages.images.decode import pixels

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

LITE0 = cd.network("efficientnet-lite0")
# Classes of ImageNet.
SEEN = {"Banana": 954, "Lemon": 951, "Orange": 950}


@pytest.fixture(scope="module")
def held() -> dict[str, np.ndarray]:
    return weights.weights()


def test_it_names_real_photographs(shared_data: Path, held: dict[str, np.ndarray]) -> None:
    run = network.inference_session(network.load_model(LITE0).content)
    right = total = 0
    for kind, number in SEEN.items():
        files = sorted((shared_data / "fruits" / "grocery" / kind).glob("*.jpg"))[:6]
        images = np.stack([pixels(file.read_bytes(), 224, 10**8) for file in files])
        features = run.run(None, {"images": images})[0]
        assert features.shape == (6, 1280)
        right += int(((features @ held["_fc.weight"].T + held["_fc.bias"]).argmax(axis=1) == number).sum())
        total += 6
    assert right / total > 0.7


def test_a_file_of_weights_runs_nothing() -> None:
    class Nasty:
        def __reduce__(self) -> tuple:
            return print, ("ran",)

    with pytest.raises(pickle.UnpicklingError, match="is not allowed"):
        weights._RestrictedUnpickler(io.BytesIO(pickle.dumps(Nasty()))).load()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier that takes numbers, colours first: means of the colours, then three classes."""
    rng = np.random.default_rng(0)
    kernel = onnx.numpy_helper.from_array(rng.normal(size=(3, 3)).astype(np.float32), "kernel")
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "kernel"], ["scores"]),
        onnx.helper.make_node("Softmax", ["scores"], ["shares"]),
    ]
    made = onnx.helper.make_graph(
        nodes, "colours",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, "side", "side"])],
        [onnx.helper.make_tensor_value_info("shares", onnx.TensorProto.FLOAT, ["n", 3])], [kernel],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("onnx") / "colours.onnx"
    onnx.save(onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_any_onnx_model_gives_what_its_last_layer_takes(classifier: Path) -> None:
    model = network.load_model(cd.network(str(classifier), mean=(0, 0, 0), std=(255, 255, 255)))
    image = np.full((1, 32, 32, 3), [255, 51, 0], np.uint8)
    assert network.inference_session(model.content).run(None, {"x": model.prepare(image)})[0] == pytest.approx(
        np.array([[1.0, 0.2, 0.0]]), rel=1e-5
    )
    whole = network.load_model(cd.network(str(classifier), last_layer=True))
    assert network.inference_session(whole.content).run(None, {"x": whole.prepare(image)})[0].sum() == pytest.approx(1.0)


def test_the_weights_are_in_the_fingerprint(classifier: Path, tmp_path: Path) -> None:
    product = tmp_path / "product.py"
    code = "import caudal as cd\ndef embedding(images):\n    return cd.embed(images, network=cd.network('model.onnx'))\n"
    product.write_text(code)
    told = []
    for content in (b"one", b"two"):
        (tmp_path / "model.onnx").write_bytes(content)
        space: dict = {"__name__": "caudal_product_x"}
        exec(compile(code, str(product), "exec"), space)
        told.append(function_digest(space["embedding"]))
    assert told[0] != told[1]


def test_what_is_no_network_is_told() -> None:
    with pytest.raises(DeclarationProblem, match=r"no network 'efficientnet-lite'.*no file"):
        cd.network("efficientnet-lite")


def test_what_does_not_classify_is_told(tmp_path: Path) -> None:
    path = tmp_path / "features.onnx"
    path.write_bytes(network.load_model(LITE0).content)
    with pytest.raises(DeclarationProblem, match="does not end in a layer that classifies"):
        network.load_model(cd.network(str(path)))
