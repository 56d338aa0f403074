"""Messages of embedded logs: taken once for all platforms, and linked into each home; what a stream has noted of them stays behind."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_PARTITION = re.compile(r"p\d+")


def take_messages(streams: Path, target: Path) -> None:
    """Copy the messages of a product's logs.

    Offsets and open windows, which a stream of the home keeps beside them, are left out: the work begins at the first message. A log that grows
    meanwhile is whole up to some record: a record is there once its index is, and indexes are copied first.

    Parameters
    ----------
    streams : the folder of a product's logs, one folder a source
    """
    for partition in sorted(each for each in streams.glob("*/*") if each.is_dir() and _PARTITION.fullmatch(each.name)):
        place = target / partition.relative_to(streams)
        place.mkdir(parents=True)
        for ending in ("index", "data"):
            for file in sorted(partition.glob(f"*.{ending}")):
                if ending == "index" or (place / f"{file.stem}.index").exists():
                    shutil.copyfile(file, place / file.name)


def link_messages(taken: Path, streams: Path) -> None:
    """Let a home have messages that were taken; nothing writes to them."""
    shutil.copytree(taken, streams, copy_function=_link)


def _link(file: str, target: str) -> None:
    try:
        os.link(file, target)
    except OSError:  # another file system
        shutil.copyfile(file, target)
