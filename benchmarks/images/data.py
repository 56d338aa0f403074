"""Real photographs, as many as asked for: the same ones again, with a few bytes behind their end so that no two files are equal."""

from __future__ import annotations

import os
from pathlib import Path


def photographs() -> list[Path]:
    """Return the photographs of the Grocery Store data set."""
    folder = Path(os.environ.get("CAUDAL_DATA", "../shared/data")) / "fruits" / "grocery"
    found = sorted(folder.glob("*/*.jpg"))
    if not found:
        raise SystemExit(f"no photographs in {folder}: set CAUDAL_DATA")
    return found


def repeated(target: Path, images: int, start: int = 0) -> list[Path]:
    """Write images number ``start`` to ``start + images`` below ``target``, in folders by label."""
    known = [(path.parent.name, path.read_bytes()) for path in photographs()]
    made = []
    for number in range(start, start + images):
        label, content = known[number % len(known)]
        path = target / label / f"{number:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content + number.to_bytes(8, "little"))
        made.append(path)
    return made
