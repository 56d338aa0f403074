"""What is done with an image, the same for every engine: caudal's own decoder, loaded from its file, and ONNX Runtime with one thread."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

SIDE, BATCH, MAX_PIXELS = 224, 4, 100_000_000


class Embedder:
    """Images → features, float32 [n, 1280].

    Parameters
    ----------
    model, decode : files of the network and of the module that decodes
    """

    def __init__(self, model: str, decode: str) -> None:
        self._pixels = _module(decode).pixels
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._name = self._session.get_inputs()[0].name

    def __call__(self, contents: Iterable[bytes]) -> np.ndarray[Any, Any]:
        """Return the features of some images, given their bytes."""
        every = list(contents)
        found = []
        for start in range(0, len(every), BATCH):
            pixels = np.stack([self._pixels(one, SIDE, MAX_PIXELS) for one in every[start : start + BATCH]])
            features = self._session.run(None, {self._name: pixels})[0]
            found.append(features.reshape(len(features), -1))
        return np.concatenate(found)


@cache
def embedder(model: str, decode: str) -> Embedder:
    """Return the embedder of this process."""
    return Embedder(model, decode)


def embedded_files(paths: Iterable[str], model: str, decode: str) -> np.ndarray[Any, Any]:
    """Return the features of some files."""
    return embedder(model, decode)(Path(path).read_bytes() for path in paths)


def _module(file: str) -> Any:
    spec = importlib.util.spec_from_file_location("decode", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["decode"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module
