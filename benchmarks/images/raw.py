"""The limit: ONNX Runtime by itself, as many processes of one thread as there are cores, no framework, nothing written."""

from __future__ import annotations

import multiprocessing as mp
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BATCH = 4


def rate(files: Sequence[Path], processes: int) -> tuple[float, float]:
    """Return images a second from the moment that all sessions are open, and seconds of processor time an image."""
    context = mp.get_context("spawn")
    ready, told = context.Barrier(processes + 1), context.Queue()
    workers = [context.Process(target=_work, args=(files[i::processes], ready, told)) for i in range(processes)]
    for worker in workers:
        worker.start()
    ready.wait()
    began = time.perf_counter()
    spent = sum(told.get() for _ in workers)
    took = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return len(files) / took, spent / len(files)


def _work(files, ready, told) -> None:
    import caudal as cd
    from caudal.stages.images.decode import pixels
    from caudal.stages.images.network import inference_session, load_model

    opened = inference_session(load_model(cd.network("efficientnet-lite0")).content)
    opened.run(None, {"images": np.zeros((BATCH, 224, 224, 3), np.uint8)})
    ready.wait()
    began = time.process_time()
    for start in range(0, len(files), BATCH):
        opened.run(None, {"images": np.stack([pixels(file.read_bytes(), 224, 10**8) for file in files[start : start + BATCH]])})
    told.put(time.process_time() - began)
