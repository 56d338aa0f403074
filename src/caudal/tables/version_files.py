"""Small files that belong to a table's version, such as a fitted PCA: stored next to the table, named by hash, listed in the
commit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from caudal.engine.cache import put_file
from caudal.storage import delta
from caudal.storage.damage import damage_error, translate_damage
from caudal.storage.place import Place

FOLDER = "_kept"


def write_version_files(folder: Place, contents: Mapping[str, bytes]) -> dict[str, str]:
    """Write files next to a table and return their hashes by name; no version lists them yet."""
    digests = {}
    for name, content in contents.items():
        digests[name] = hashlib.sha256(content).hexdigest()
        target = folder / FOLDER / digests[name]
        if target.exists():
            continue
        if isinstance(target, Path):
            target.parent.mkdir(parents=True, exist_ok=True)
            put_file(target, content)
        else:
            with target.open("wb") as out:
                out.write(content)
    return digests


def version_hashes(folder: Place, version: int | None) -> dict[str, str]:
    """Return the hashes of the files that belong to a version, by name."""
    return dict(delta.identity(folder, version).get("kept", {})) if version is not None else {}


def read_version_files(folder: Place, version: int | None) -> dict[str, bytes]:
    """Return the contents of the files that belong to a version, by name."""
    contents = {}
    for name, sha256 in version_hashes(folder, version).items():
        file = folder / FOLDER / sha256
        with translate_damage(file, f"What table '{folder.name}' has fitted"):
            contents[name] = file.read_bytes()
        if hashlib.sha256(contents[name]).hexdigest() != sha256:
            raise damage_error(f"What table '{folder.name}' has fitted, '{file}', is not as it was written.", table=folder.name)
    return contents
