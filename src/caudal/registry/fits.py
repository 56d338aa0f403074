"""What table functions had fitted when a version was trained: files of the version, so that it can transform new rows itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from caudal.errors import EnvironmentProblem

FOLDER, LIST = "fits", "fits.json"


@dataclass(frozen=True)
class TableFits:
    """What one table's function had fitted.

    Parameters
    ----------
    code : fingerprint of the table's declaration
    fits : the stored bytes, by name
    """

    code: str
    fits: Mapping[str, bytes] = field(default_factory=dict)


Fits = Mapping[str, TableFits]
"""By table: the features and their inputs, as far as something is fitted there."""


def write_fits(folder: Path, fits: Fits) -> None:
    """Write fits into the folder of a new version; do nothing if there are none."""
    if not fits:
        return
    (folder / FOLDER).mkdir()
    document = {}
    for table, fit in fits.items():
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in fit.fits.items()}
        for name, sha256 in digests.items():
            (folder / FOLDER / sha256).write_bytes(fit.fits[name])
        document[table] = {"code": fit.code, "fits": digests}
    (folder / LIST).write_text(json.dumps(document, indent=1))


def read_fits(folder: Path) -> dict[str, TableFits] | None:
    """Return the fits of a version; None if it has none, or was registered before fits were stored with it.

    Raises
    ------
    EnvironmentProblem : a file is missing or has changed
    """
    if not (folder / LIST).exists():
        return None
    fits = {}
    for table, table_document in json.loads((folder / LIST).read_text()).items():
        fits[table] = TableFits(
            table_document["code"], {name: _content(folder / FOLDER / sha256) for name, sha256 in table_document["fits"].items()}
        )
    return fits


def same_fits(first: Path, second: Path) -> bool:
    """Return whether the functions of two versions' features had fitted the same, so that a row means the same to both."""
    return _digests(first) == _digests(second)


def _digests(folder: Path) -> dict[str, dict[str, str]]:
    try:
        document = json.loads((folder / LIST).read_text())
    except FileNotFoundError:  # nothing is fitted
        return {}
    return {table: fit["fits"] for table, fit in document.items() if fit["fits"]}


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise EnvironmentProblem(
            f"'{file}', a fit of a model's version, cannot be read: {error}.", fix="Restore it from a backup."
        ) from None
    if hashlib.sha256(content).hexdigest() != file.name:
        raise EnvironmentProblem(f"'{file}', a fit of a model's version, has changed.", fix="Restore it from a backup.")
    return content
