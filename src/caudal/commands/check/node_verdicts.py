"""What Spark's analyser found of each node is kept by all that it depends on, so that a check analyses only what has changed.

A node's verdict is its columns, and that nothing was wrong with its function. It is kept under a key of the node's code and parameters
without its expectations, the columns of its inputs, when these are known, the settings and data in the product's folder, the product's
zone and the versions; and with it what the function read while it was called, which is compared when the verdict is used. What was
asked of the network or of a command cannot be compared, so such verdicts are not kept; nor are faults.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caudal.commands.check.verdict import files_of_folder, versions
from caudal.declarations.images import Images
from caudal.declarations.node import Node
from caudal.declarations.product import Product
from caudal.engine.cache import cache_dir, put_file
from caudal.graph.build import build
from caudal.graph.fingerprint import code_of, code_of_rows, describe, digest
from caudal.graph.reads import Reads

KEPT = 2000

Columns = dict[str, Any]
"""A frame's columns, as the JSON of Spark's StructType."""


@dataclass(frozen=True)
class NodeVerdict:
    """What was found of a node without fault.

    Parameters
    ----------
    columns : JSON of a StructType, the columns that the node gives
    file : str, optional, the name of the file that the columns of a source were read from
    fits : the names of what the node's function fits to rows
    """

    columns: Columns
    file: str | None = None
    fits: tuple[str, ...] = ()


class NodeVerdicts:
    """The verdicts that are kept of a product's nodes.

    Fingerprints of code are taken when this is made: functions that are called later may change what they hold.

    Parameters
    ----------
    files : by source without a full schema, what identifies the file that its columns would be read from
    spark_settings : the user's settings of Spark
    """

    def __init__(self, product: Product, files: Mapping[str, object], spark_settings: Mapping[str, str]) -> None:
        self._product, self._files = product, files
        sql = {name: value for name, value in spark_settings.items() if name.startswith("spark.sql.")}
        data = {file: state for file, state in files_of_folder(product).items() if not file.endswith(".py")}
        self._shared = digest("node", versions(), product.tz, sql, data)
        self._codes = {name: code_of_rows(product, node) for name, node in product.nodes.items()}

    def key(self, node: Node, columns: Mapping[str, Columns]) -> str:
        """Return what identifies a node and all that its verdict depends on.

        Parameters
        ----------
        columns : the columns of each of its inputs, by name
        """
        inputs = [self._input(node, name, columns[name]) for name in node.inputs]
        return digest(self._shared, self._codes[node.name], inputs, self._files.get(node.name))

    def find(self, key: str) -> NodeVerdict | None:
        """Return the verdict that is kept under a key; None where there is none, or something that was read is not as it was."""
        file = _folder() / key
        try:
            document = json.loads(file.read_bytes())
            reads = Reads.of(document["reads"])
            if reads.unseen or reads.current() != reads:
                return None
            file.touch()
            return NodeVerdict(document["columns"], document["file"], tuple(document["fits"]))
        except (OSError, ValueError, KeyError, TypeError):  # none, or not as this version writes it
            return None

    def keep(self, key: str, verdict: NodeVerdict, reads: Sequence[Reads] = ()) -> None:
        """Keep a verdict without fault, with what the node's function read; those that were used least recently go."""
        every = Reads()
        for read in reads:
            every = every.merged_with(read)
        if every.unseen:
            return
        document = {"columns": verdict.columns, "file": verdict.file, "fits": verdict.fits, "reads": every.document()}
        with contextlib.suppress(OSError):  # a cache that cannot be written makes the next check slow, not wrong
            folder = _folder()
            put_file(folder / key, json.dumps(document).encode())
            kept = list(folder.iterdir())
            if len(kept) > KEPT:
                for file in sorted(kept, key=lambda file: file.stat().st_mtime, reverse=True)[KEPT:]:
                    file.unlink(missing_ok=True)

    def _input(self, node: Node, name: str, columns: Columns) -> object:
        read = self._product.nodes[name]
        known = dict(read.known)
        # A join and statistics heed all that their inputs declare; a function and a query are given a frame.
        table = self._product.tables.get(node.name)
        own = table is not None and (table.function is not None or table.sql is not None)
        images = of_images(self._product, name)
        return [name, columns, read.event_time, describe(known), images, None if own else code_of(read)]


def _folder() -> Path:
    return cache_dir("checks", "nodes")


def of_images(product: Product, name: str) -> bool:
    """Tell whether any row of a node comes from images."""
    sources = product.sources
    above = (name, *build(product).upstream(name))
    return any(isinstance(sources[each].connection, Images) for each in above if each in sources)
