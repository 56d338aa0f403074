"""Which way to the leaves of trees is the fastest."""

from __future__ import annotations

import numpy as np

from caudal.compiled.trees.levels import LeafLevels
from caudal.compiled.trees.nodes import TreeNodes
from caudal.compiled.trees.tables import MOST_LEAVES, LeafTables, table_bytes
from caudal.compiled.trees.walk import MOST_TREES, LeafWalk

Search = LeafTables | LeafWalk | LeafLevels
MOST_TABLE_BYTES = 32 << 20


def search_of(nodes: TreeNodes) -> Search:
    """Return the fastest way to the leaves of trees."""
    if nodes.trees <= MOST_TREES and not np.any(nodes.category >= 0):
        return LeafWalk.of(nodes)
    if nodes.most_leaves <= MOST_LEAVES and table_bytes(nodes) <= MOST_TABLE_BYTES:
        return LeafTables.of(nodes)
    return LeafLevels.of(nodes)
