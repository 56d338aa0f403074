"""Readings that fall where few have fallen: counts in random halvings of space.

Tan, Ting & Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011: algorithm 1 (a tree halves a random work range
dimension by dimension), algorithm 3 (masses of the last full window judge, those of the running one are counted and take over when it is
full), section 3.3: a tree's score is ``mass × 2^depth`` at the first node with at most a tenth of the window, or at the leaf.

All trees are arrays and are walked together, one level a step: the same in plain Python (River 0.26) takes several times as long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from caudal.spec.detector import Detector
from caudal.stages.detect.operator import Operator
from caudal.stages.detect.points import Points

_SIZE_LIMIT, _EDGE = 0.1, 3.0


class HalfSpaceTrees(Operator):
    """The mean mass around a reading, on a logarithmic scale: 0 where all readings fall, 1 where none fell."""

    kind = "half_space_trees"

    def __init__(self, declared: Detector, channels: int) -> None:
        super().__init__(declared, channels)
        self._points = Points(channels, declared["lags"])
        trees, height = declared["trees"], declared["height"]
        # The trees follow from the seed alone, so they are not part of the state.
        self._feature, self._split = _grown(trees, height, channels * declared["lags"], declared["seed"])
        self._judging = np.zeros((trees, 2 ** (height + 1)))
        self._counting = np.zeros_like(self._judging)
        self._rows = np.arange(trees)
        self._scale = 2.0 ** np.arange(height + 1)
        self._seen = 0

    def judge(self, at_us: int, row: np.ndarray) -> float:  # noqa: ARG002
        """Return 1 - log(1 + mean of mass × 2^depth) / log(1 + window × 2^height); 0 until the first window is full."""
        # The trees halve 0 to 1: three deviations out lie at three quarters, so that a quarter on each side is left for what is further.
        standard = self._points.point(row)
        point = 0.5 + 0.5 * standard / (np.abs(standard) + _EDGE)
        path = self._path(point)
        window = self.declared["window"]
        score = 0.0
        if self._seen >= window:
            mass = self._judging[self._rows[:, None], path]
            small = mass <= _SIZE_LIMIT * window
            small[:, -1] = True
            depth = small.argmax(axis=1)
            mean = float(np.mean(mass[self._rows, depth] * self._scale[depth]))
            score = 1.0 - math.log1p(mean) / math.log1p(window * self._scale[-1])
        self._counting[self._rows[:, None], path] += 1.0
        self._seen += 1
        if self._seen % window == 0:
            self._judging, self._counting = self._counting, np.zeros_like(self._counting)
        return score

    def _path(self, point: np.ndarray) -> np.ndarray:
        """Return the nodes that a point passes in each tree, int [trees, height + 1]; the root is node 1, children 2n and 2n + 1."""
        height = self.declared["height"]
        node = np.ones(len(self._rows), dtype=np.int64)
        path = np.empty((len(self._rows), height + 1), dtype=np.int64)
        path[:, 0] = node
        for level in range(1, height + 1):
            above = point[self._feature[self._rows, node]] >= self._split[self._rows, node]
            node = 2 * node + above
            path[:, level] = node
        return path

    def fields(self) -> dict[str, Any]:
        """Return the masses and what standardises readings."""
        return {"judging": self._judging, "counting": self._counting, "seen": self._seen, **self._points.fields()}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Take up the masses and what standardises readings."""
        self._judging, self._counting, self._seen = fields["judging"], fields["counting"], int(fields["seen"])
        self._points.restore(fields)


def _grown(trees: int, height: int, dimensions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the dimension and the place of each halving, [trees, nodes]."""
    rng = np.random.default_rng(seed)
    nodes = 2**height
    feature = rng.integers(dimensions, size=(trees, nodes))
    # Their work range: s uniform, then s ± 2 max(s, 1 - s), which holds 0 to 1.
    middle = rng.random((trees, dimensions))
    reach = 2.0 * np.maximum(middle, 1.0 - middle)
    low, high = np.zeros((trees, nodes, dimensions)), np.zeros((trees, nodes, dimensions))
    low[:, 1], high[:, 1] = middle - reach, middle + reach
    split = np.zeros((trees, nodes))
    each = np.arange(trees)
    for node in range(1, nodes):
        which = feature[:, node]
        split[:, node] = half = (low[each, node, which] + high[each, node, which]) / 2.0
        for child in (2 * node, 2 * node + 1):
            if child < nodes:
                low[:, child], high[:, child] = low[:, node], high[:, node]
                (high if child % 2 == 0 else low)[each, child, which] = half
    return feature, split
