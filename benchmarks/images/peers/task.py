"""What an engine is asked and what it answers; read by every engine's script, so nothing but the standard library is needed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """One folder of images to be embedded.

    Parameters
    ----------
    images : folder of the images, in folders by label
    warm : folder of a few others, that are embedded before and not counted
    model, decode : files of the network and of the module that decodes
    out : folder for Parquet files of ``path`` and ``embedding``
    answer : file of the answer
    """

    images: str
    warm: str
    model: str
    decode: str
    cores: int
    out: str
    answer: str

    def measured(self, work: Callable[[str, str], Any]) -> None:
        """Embed the folder for warming, then answer with the seconds that ``work(folder, out)`` takes."""
        work(self.warm, f"{self.out}-warm")
        began = time.perf_counter()
        said = work(self.images, self.out)
        seconds = time.perf_counter() - began
        part = Path(f"{self.answer}.part")
        part.write_text(json.dumps({"seconds": seconds, **(said or {})}))
        part.rename(self.answer)


def asked() -> Task:
    """Return the task of the command line."""
    return Task(**json.loads(sys.argv[1]))


def files(folder: str) -> list[str]:
    """Return the images of a folder."""
    return sorted(map(str, Path(folder).glob("*/*.jpg")))


def pieces(folder: str, number: int = 32) -> list[list[str]]:
    """Return the images of a folder, some at a time."""
    found = files(folder)
    return [found[start : start + number] for start in range(0, len(found), number)]
