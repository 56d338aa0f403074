"""Score readings by how few earlier readings lie near them: counts in random halvings of space.

Tan, Ting & Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011, by River (``river.anomaly.HalfSpaceTrees``): the masses of the last
full window score readings; those of the running window are counted and replace them when it is full. A reading's mass is the sum of
``mass × 2^depth`` along its path, down to the first node with less than a tenth of the window (their section 3.3). Here the score is that
mass on a logarithmic scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from caudal.declarations.detector import Detector, bounded
from caudal.extras import require
from caudal.stages.detect.operator import Operator
from caudal.stages.detect.points import Points
from caudal.stages.detect.state import StateProblem

_EDGE = 3.0


def half_space_trees(trees: int = 25, height: int = 8, window: int = 250, lags: int = 1, seed: int = 0) -> Detector:
    """Return a detector of readings in parts of space with few earlier readings, by random halvings of the space of all channels.

    Parameters
    ----------
    trees, height : int, number of trees and of halvings in each
    window : int, readings after which the counts are renewed
    lags : int, consecutive readings that make one point
    seed : int, of the halvings
    """
    return bounded(
        "half_space_trees",
        {
            "trees": (trees, 1, 1000),
            "height": (height, 1, 14),
            "window": (window, 16, 65_536),
            "lags": (lags, 1, 256),
            "seed": (seed, 0, 2**31),
        },
    )


class HalfSpaceTrees(Operator):
    """The mass around a reading: 0 where all readings fall, 1 where none fell."""

    kind = "half_space_trees"

    def __init__(self, declared: Detector, channels: int) -> None:
        require("river", extra="stream", for_="The detector half_space_trees")
        from river.anomaly import HalfSpaceTrees as Forest  # a second, which declaring a detector need not take

        super().__init__(declared, channels)
        self._points = Points(channels, declared["lags"])
        self._forest: Any = Forest(
            n_trees=declared["trees"], height=declared["height"], window_size=declared["window"], seed=declared["seed"]
        )
        self._most = declared["trees"] * declared["window"] * (2 ** (declared["height"] + 1) - 1)

    def judge(self, at_us: int, row: np.ndarray) -> float:  # noqa: ARG002
        """Return 1 - log(1 + mass) / log(1 + greatest possible mass); 0 until the first window is full."""
        # The trees divide 0 to 1: three deviations lie at three quarters, which leaves a quarter on each side for values further out.
        standard = self._points.point(row)
        point = dict(enumerate((0.5 + 0.5 * standard / (np.abs(standard) + _EDGE)).tolist()))
        linear = float(self._forest.score_one(point))
        self._forest.learn_one(point)
        return 1.0 - math.log1p((1.0 - linear) * self._most) / math.log1p(self._most) if linear > 0.0 else 0.0

    def fields(self) -> dict[str, object]:
        """Return the masses, depth first, and the state that standardises readings."""
        masses = [(node.l_mass, node.r_mass) for tree in self._forest.trees for node in tree.iter_dfs()]
        return {
            "masses": np.array(masses, dtype=np.int64).reshape(-1, 2),
            "counter": self._forest.counter,
            "first": self._forest._first_window,
            "river": version("river"),
            **self._points.fields(),
        }

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Restore the masses and the state that standardises readings."""
        if fields["river"] != version("river"):
            raise StateProblem(
                f"The state of 'half_space_trees' was written with River {fields['river']}, and {version('river')} is installed, whose trees may differ.",
                fix="Start the detector anew, or install that version of River.",
            )
        self._points.restore(fields)
        if len(fields["masses"]):
            # The trees follow from the seed; they grow with the first reading, whose counts are then overwritten.
            self._forest.learn_one(dict.fromkeys(range(self._points.recent.size), 0.5))
            nodes = [node for tree in self._forest.trees for node in tree.iter_dfs()]
            for node, (running, judging) in zip(nodes, fields["masses"].tolist(), strict=True):
                node.l_mass, node.r_mass = running, judging
        self._forest.counter, self._forest._first_window = int(fields["counter"]), bool(fields["first"])
