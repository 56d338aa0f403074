"""Decide which samples are lost, sent twice or late. All of it follows from seed and position, so that the exact counts are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caudal.messaging.wire.block import Array
from caudal.stages.simulate.chance import uniform

_LOST, _LATE, _TWICE = 901, 902, 903


@dataclass(frozen=True)
class Sending:
    """The disturbances of transport.

    Parameters
    ----------
    lost : share of the groups of ``run`` samples that are never sent (drop-outs)
    twice : share of the samples that are sent again, after the group they are in
    late : share of the groups that swap places with the next one (out of order)
    run : int, samples of a group
    """

    seed: int = 0
    lost: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    run: int = 32

    def order(self, start: int, stop: int) -> Array:
        """Return the positions from ``start`` to before ``stop`` in the order of sending, int64."""
        groups = np.arange(start // self.run, -(-stop // self.run), dtype=np.int64)
        sent_groups = groups[~self._is_drawn(_LOST, groups, self.lost)]
        # A late group comes right after the next one, whose key is 2 (g + 1).
        sent_groups = sent_groups[np.argsort(2 * sent_groups + 3 * self._is_drawn(_LATE, sent_groups, self.late), kind="stable")]
        first_sent = sent_groups[:, None] * self.run + np.arange(self.run)
        repeated = np.where(
            uniform(self.seed, _TWICE, first_sent.ravel()).reshape(first_sent.shape) < self.twice, first_sent, start - 1
        )
        sent = np.concatenate([first_sent, repeated], axis=1).ravel()
        positions: Array = sent[(sent >= start) & (sent < stop)]
        return positions

    def facts(self, start: int, stop: int) -> dict[str, int]:
        """Return the number of ``samples`` in these positions, and of those ``sent`` (with repeats), ``lost``, ``twice``, ``late``.

        A sample is late if it is first sent after a later sample.
        """
        order = self.order(start, stop)
        first_positions = order[np.sort(np.unique(order, return_index=True)[1])]
        late = int(np.count_nonzero(first_positions < np.maximum.accumulate(first_positions))) if len(first_positions) else 0
        lost = stop - start - len(first_positions)
        return {"samples": stop - start, "sent": len(order), "lost": lost, "twice": len(order) - len(first_positions), "late": late}

    def _is_drawn(self, stream: int, groups: Array, share: float) -> Array:
        is_drawn: Array = uniform(self.seed, stream, groups)[:, 0] < share
        return is_drawn
