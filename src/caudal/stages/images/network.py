"""Turn a declared network into the bytes of its model, the layout of its input, and a hash that identifies it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from caudal.declarations.images import Network
from caudal.engine.cache import cache_dir, put_file
from caudal.errors import DeclarationProblem
from caudal.extras import require
from caudal.kinds import NETWORKS
from caudal.stages.images.built_in import BuiltInNetwork

if TYPE_CHECKING:
    import onnxruntime as ort

FORMAT = "1"  # raised when a built-in network is built differently
_CUDA = "CUDAExecutionProvider"
_LAST = ("Softmax", "LogSoftmax", "Identity", "Add", "Gemm", "MatMul")


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready to run.

    Parameters
    ----------
    content : bytes, the ONNX model, without its last layer unless declared otherwise
    sha256 : of ``content`` and of the preparation of images
    channels_first : bool, whether colours come before rows and columns (NCHW)
    raw : bool, whether the model takes unscaled colour values (uint8)
    """

    name: str
    content: bytes
    sha256: str
    channels_first: bool
    raw: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return uint8 [n, side, side, 3] in the layout and scale that the model takes."""
        if not self.raw:
            mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
            pixels = (pixels.astype(np.float32) - mean) / std
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if self.channels_first else pixels


@cache
def load_model(network: Network) -> LoadedNetwork:
    """Return the model of a declared network.

    Raises
    ------
    EnvironmentProblem : a library of ``caudal[images]`` is missing
    DeclarationProblem : the file is not an ONNX model of images
    """
    for library in ("onnx", "onnxruntime", "PIL"):
        require(library, extra="images", for_="Embedding images")
    if network.sha256 is None:
        content = _built_in_network(network.name)
    else:
        content = Path(network.name).read_bytes()
        if not network.last_layer:
            content = without_last_layer(content, network.name)
    channels_first, raw = _input_layout(content, network.name)
    digest = hashlib.sha256(content + repr((FORMAT, channels_first, raw, network.mean, network.std)).encode()).hexdigest()
    return LoadedNetwork(Path(network.name).name, content, digest, channels_first, raw, network.mean, network.std)


def inference_session(content: bytes, *, on_gpu: bool = False) -> ort.InferenceSession:
    """Return a session of one thread, since there are as many workers as cores.

    Parameters
    ----------
    on_gpu : whether it computes on a GPU where ONNX Runtime finds one, in full single precision; `uses_gpu` tells whether it does
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers: list[str | tuple[str, dict[str, str]]] = ["CPUExecutionProvider"]
    if on_gpu and _CUDA in ort.get_available_providers():
        providers.insert(0, (_CUDA, {"use_tf32": "0"}))
    return ort.InferenceSession(content, options, providers=providers)


def uses_gpu(session: ort.InferenceSession) -> bool:
    """Return whether a session computes on a GPU: ONNX Runtime goes without where it cannot use it."""
    return _CUDA in session.get_providers()


def without_last_layer(content: bytes, name: str) -> bytes:
    """Return a classifier without its last layer: its output is the input of its last matrix product."""
    import onnx

    try:
        model = onnx.load_from_string(content)
    except Exception as error:
        raise DeclarationProblem(f"'{name}' is no ONNX model: {type(error).__name__}.", file=name) from None
    producer = {output: node for node in model.graph.node for output in node.output}
    output = model.graph.output[0].name
    while (node := producer.get(output)) is not None and node.op_type in _LAST:
        output = node.input[0]
        if node.op_type in ("Gemm", "MatMul"):
            del model.graph.output[:]
            model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
            return bytes(model.SerializeToString())
    raise DeclarationProblem(
        f"'{name}' does not end in a layer that classifies.",
        fix="If its output is features already, declare cd.network(…, last_layer=True).",
        file=name,
    )


def _built_in_network(name: str) -> bytes:
    """Return the ONNX model of a built-in network, built once and stored in the user's cache."""
    network: BuiltInNetwork = NETWORKS[name]
    cached = cache_dir("networks") / f"{name}-{network.sha256[:12]}-{FORMAT}.onnx"
    if not cached.exists():
        put_file(cached, network.build())
    return cached.read_bytes()


def _input_layout(content: bytes, name: str) -> tuple[bool, bool]:
    """Return whether colours come first, and whether the model takes the raw values."""
    inputs = inference_session(content).get_inputs()
    shape = list(inputs[0].shape)
    if len(inputs) != 1 or len(shape) != 4 or 3 not in (shape[1], shape[3]) or inputs[0].type not in _KINDS:
        raise DeclarationProblem(
            f"'{name}' takes {', '.join(f'{input_.name} {input_.type} {input_.shape}' for input_ in inputs)}, which is not an image.",
            fix="One input [n, side, side, 3] or [n, 3, side, side], uint8 or float.",
            file=name,
        )
    return shape[1] == 3, inputs[0].type == "tensor(uint8)"


_KINDS = ("tensor(uint8)", "tensor(float)")
