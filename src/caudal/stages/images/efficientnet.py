"""EfficientNet-Lite0 as an ONNX graph: uint8 images in, 1,280 features out.

Batch normalisation is folded into the convolutions. Padding is TensorFlow's SAME, written out for sides that are multiples of 32;
it differs from the symmetric one where the stride is 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caudal.stages.images import weights
from caudal.stages.images.built_in import BuiltInNetwork

if TYPE_CHECKING:
    import onnx
    from numpy.typing import ArrayLike, NDArray

MULTIPLE = 32
FEATURES = 1280
_EPSILON = 1e-3
# repeats, kernel, stride, expansion, channels out
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def network_graph(weights: dict[str, NDArray[np.float32]]) -> bytes:
    """Return the serialised model; input ``images`` uint8 [n, side, side, 3], output ``features`` float32 [n, 1280]."""
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: ArrayLike) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def add(kind: str, inputs: list[str], output: str, **more: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **more))
        return output

    def convolve(x: str, name: str, norm: str, *, stride: int = 1, groups: int = 1, active: bool = True) -> str:
        kernel, bias = _fold_normalisation(weights, name, norm)
        k = kernel.shape[-1]
        before, after = (k - stride) // 2, k - stride - (k - stride) // 2
        x = add(
            "Conv", [x, constant(f"{name}.w", kernel), constant(f"{name}.b", bias)], f"{name}.out",
            kernel_shape=[k, k], strides=[stride, stride], pads=[before, before, after, after], group=groups,
        )  # fmt: skip
        return add("Clip", [x, "zero", "six"], f"{name}.act") if active else x

    constant("zero", 0.0)
    constant("six", 6.0)
    x = add("Cast", [add("Transpose", ["images"], "planes", perm=[0, 3, 1, 2])], "numbers", to=TensorProto.FLOAT)
    x = add("Div", [add("Sub", [x, constant("mean", 127.0)], "centred"), constant("scale", 128.0)], "normalised")
    x = convolve(x, "_conv_stem", "_bn0", stride=2)
    number, width = 0, 32
    for repeats, _, first_stride, expansion, out in _STAGES:
        for repeat in range(repeats):
            block, start = f"_blocks.{number}", x
            stride = first_stride if repeat == 0 else 1
            if expansion > 1:
                x = convolve(x, f"{block}._expand_conv", f"{block}._bn0")
            x = convolve(x, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride, groups=width * expansion)
            x = convolve(x, f"{block}._project_conv", f"{block}._bn2", active=False)
            if stride == 1 and width == out:
                x = add("Add", [x, start], f"{block}.sum")
            number, width = number + 1, out
    x = convolve(x, "_conv_head", "_bn1")
    add("Flatten", [add("GlobalAveragePool", [x], "pooled")], "features", axis=1)
    graph_ = helper.make_graph(
        nodes,
        "efficientnet-lite0",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "side", "side", 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", FEATURES])],
        constants,
    )
    model = helper.make_model(graph_, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def _fold_normalisation(
    weights: dict[str, NDArray[np.float32]], name: str, norm: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return kernel and bias of a convolution with its batch normalisation in them."""
    gamma, beta, mean, variance = (
        weights[f"{norm}.{name}"].astype(np.float64) for name in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(variance + _EPSILON)
    return weights[f"{name}.weight"] * factor[:, None, None, None], beta - mean * factor


NETWORK = BuiltInNetwork("efficientnet-lite0", weights.SHA256, lambda: network_graph(weights.weights()))
