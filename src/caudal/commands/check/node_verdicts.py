"""Cache of analysis results, one for each node, keyed by everything that a result depends on: a check analyses only changed nodes.

A node's verdict says that its function has no problem, and holds its columns. Its key covers the node's code and parameters without its
expectations, the columns of its inputs and when these are known, the settings and data in the product's folder, the product's time zone,
and the versions. It is stored with what the function read while it ran, which is compared when the verdict is used. What a function got
from the network or from a command cannot be compared, so such verdicts are not stored; nor are problems.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

MOST_STORED = 2000

Columns = dict[str, Any]
"""A frame's columns, as the JSON of Spark's StructType."""


@dataclass(frozen=True)
class NodeVerdict:
    """The result of a node that has no problem.

    Parameters
    ----------
    columns : JSON of a StructType, the columns that the node gives
    file : str, optional, the name of the file that the columns of a source were read from
    fits : the names of the objects that the node's function fits to rows
    remarks : sentences for the user, such as the engine that has to do the node's step
    origins : by column of features whose values a server can find, the time and the keys by which it does
    """

    columns: Columns
    file: str | None = None
    fits: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    origins: Mapping[str, Sequence[str]] = field(default_factory=dict)


class NodeVerdicts:
    """The stored verdicts of a product's nodes.

    Fingerprints of code are taken at construction, because functions may change their closures when they are called.

    Parameters
    ----------
    files : by source without a full schema, what identifies the file that its columns would be read from
    spark_settings : the user's settings of Spark
    engines : the setting of the engine, and names and versions of those that analyse
    """

    def __init__(
        self, product: Product, files: Mapping[str, object], spark_settings: Mapping[str, str], engines: Sequence[str]
    ) -> None:
        self._product, self._files = product, files
        sql = {name: value for name, value in spark_settings.items() if name.startswith("spark.sql.")}
        data = {file: state for file, state in files_of_folder(product).items() if not file.endswith(".py")}
        self._shared = digest("node", versions(), product.tz, sql, data, list(engines))
        self._codes = {name: code_of_rows(product, node) for name, node in product.nodes.items()}

    def key(self, node: Node, columns: Mapping[str, Columns]) -> str:
        """Return the hash of a node and everything that its verdict depends on.

        Parameters
        ----------
        columns : the columns of each of its inputs, by name
        """
        inputs = [self._input(node, name, columns[name]) for name in node.inputs]
        return digest(self._shared, self._codes[node.name], inputs, self._files.get(node.name))

    def find(self, key: str) -> NodeVerdict | None:
        """Return the verdict stored under a key; None where there is none, or where something that the function read has changed."""
        file = _folder() / key
        try:
            document = json.loads(file.read_bytes())
            reads = Reads.of(document["reads"])
            if reads.unseen or reads.current() != reads:
                return None
            file.touch()
            return NodeVerdict(
                document["columns"], document["file"], tuple(document["fits"]), tuple(document["remarks"]), document["origins"]
            )
        except (OSError, ValueError, KeyError, TypeError):  # missing, or written by another version
            return None

    def keep(self, key: str, verdict: NodeVerdict, reads: Sequence[Reads] = ()) -> None:
        """Store a verdict with what the node's function read; delete those that were used least recently."""
        all_reads = Reads()
        for reads_of_call in reads:
            all_reads = all_reads.merged_with(reads_of_call)
        if all_reads.unseen:
            return
        document = {
            "columns": verdict.columns, "file": verdict.file, "fits": verdict.fits, "remarks": verdict.remarks, "origins": dict(verdict.origins), "reads": all_reads.document(),
        }  # fmt: skip
        with contextlib.suppress(OSError):  # a cache that cannot be written makes the next check slow, not wrong
            folder = _folder()
            put_file(folder / key, json.dumps(document).encode())
            files = list(folder.iterdir())
            if len(files) > MOST_STORED:
                for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)[MOST_STORED:]:
                    file.unlink(missing_ok=True)

    def _input(self, node: Node, name: str, columns: Columns) -> object:
        input_node = self._product.nodes[name]
        known_times = dict(input_node.known)
        # Joins and statistics depend on the whole declaration of their inputs; functions and queries only on a frame.
        table = self._product.tables.get(node.name)
        takes_frame = table is not None and (table.function is not None or table.sql is not None)
        images = comes_from_images(self._product, name)
        return [name, columns, input_node.event_time, describe(known_times), images, None if takes_frame else code_of(input_node)]


def _folder() -> Path:
    return cache_dir("checks", "nodes")


def comes_from_images(product: Product, name: str) -> bool:
    """Return whether any row of a node comes from images."""
    sources = product.sources
    origins = (name, *build(product).upstream(name))
    return any(isinstance(sources[origin].connection, Images) for origin in origins if origin in sources)
