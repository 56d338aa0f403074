"""Bounds on the resources that a file may take, far above those of ordinary files; checked before Spark reads a file."""

from __future__ import annotations

import os
from dataclasses import dataclass

from caudal.errors import DeclarationProblem, SourceProblem
from caudal.stages.ingest.raw import RawFile

MB = 1 << 20
DEFAULTS = {"CAUDAL_MAX_LINE_MB": 64, "CAUDAL_MAX_EXPANSION": 200, "CAUDAL_MAX_CELLS": 50_000_000, "CAUDAL_MAX_NESTING": 3}
FREE_BYTES = 256 * MB  # a packed file may always unpack to this size


def bound(name: str) -> int:
    """Return the bound of this name from the environment, else the default."""
    text = os.environ.get(name)
    if not text:
        return DEFAULTS[name]
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise DeclarationProblem(f"{name} is '{text}'.", fix=f"Give a whole number; {DEFAULTS[name]} when left out.")
    return value


@dataclass
class Expansion:
    """The bytes that a packed file has unpacked to so far."""

    file: RawFile
    packed_bytes: int
    bytes: int = 0

    def add(self, more: int) -> None:
        """Count more bytes.

        Raises
        ------
        SourceProblem : the file unpacks to far more than its size
        """
        self.bytes += more
        max_factor = bound("CAUDAL_MAX_EXPANSION")
        if self.bytes > FREE_BYTES and self.bytes > max_factor * max(1, self.packed_bytes):
            raise SourceProblem(
                f"'{self.file.name}' has {self.packed_bytes:,} bytes and unpacks to more than {self.bytes // MB:,} MB, over {max_factor} times its size.",
                fix="If that is correct, raise CAUDAL_MAX_EXPANSION; else move the file away.",
                file=self.file.name,
            )  # fmt: skip


def line_too_long(file: RawFile, line: int) -> SourceProblem:
    """Return the problem of a file with a line too long to hold in memory."""
    max_megabytes = bound("CAUDAL_MAX_LINE_MB")
    return SourceProblem(
        f"'{file.name}': line {line} is longer than {max_megabytes} MB.",
        fix="If that is correct, raise CAUDAL_MAX_LINE_MB; else move the file away.",
        file=file.name, line=line,
    )  # fmt: skip
