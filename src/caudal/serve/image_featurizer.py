"""The featurizer of an image model: the network, the components, and its training images."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from caudal.declarations.images import MAX_PIXELS, Network
from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import model_versions
from caudal.registry.fits import read_fits
from caudal.serve.served import Served
from caudal.stages.images.decode import thumbnail
from caudal.storage import delta
from caudal.storage.place import place
from caudal.tables.home import Home
from caudal.tables.version_files import read_version_files

if TYPE_CHECKING:
    from caudal.stages.features.pca import PrincipalComponents

NEAREST = 6
THUMBNAIL = 160
MOST_PIXELS = 40_000_000  # of a sent image: a server decodes several at once
_AGAIN_S = 30.0  # before a lake that did not answer is tried again


FeaturizerOf = Callable[[Served], "ImageFeaturizer | None"]


@dataclass(frozen=True)
class Near:
    """A training image, and the distance of its features from those of the sent image."""

    sha256: str
    label: str
    distance: float


@dataclass
class ImageFeaturizer:
    """Turns an image into the inputs of a model.

    Parameters
    ----------
    network, side : the network that embedded the training images, and their size
    fitted : the components that are the model's inputs
    features, images : the versions of its training tables
    """

    network: Network
    side: int
    fitted: PrincipalComponents
    inputs: tuple[str, ...]
    features: delta.Version
    images: delta.Version
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def row(self, content: bytes) -> dict[str, float]:
        """Return the model's inputs for an image.

        Raises
        ------
        UnreadableImage : the content is not an image, or cannot be decoded
        """
        from caudal.stages.features.embed import embed_image

        values = self.fitted.transform(embed_image(content, self.network, self.side, MOST_PIXELS)[None].astype("float64"))[0]
        return dict(zip(self.inputs, map(float, values), strict=True))

    def nearest(self, row: dict[str, float], count: int = NEAREST) -> list[Near]:
        """Return the training images with the nearest components, by Euclidean distance."""
        points, hashes, labels = self._training_points
        distances = np.sqrt(((points - np.array([row[name] for name in self.inputs], np.float32)) ** 2).sum(axis=1))
        return [Near(hashes[i], labels[i], round(float(distances[i]), 4)) for i in np.argsort(distances, kind="stable")[:count]]

    def thumbnail(self, sha256: str) -> bytes | None:
        """Return a training image as a thumbnail; None if there is none with this hash."""
        with self._lock:
            position = self._image_positions.get(sha256)
        if position is None:
            return None
        from caudal.storage.parquet import open_parquet

        path, group, number = position
        with open_parquet(place(path)) as file:
            content = file.read_row_group(group, columns=["content"]).column(0)[number].as_py()
        return thumbnail(content, THUMBNAIL, MAX_PIXELS)

    @cached_property
    def _training_points(self) -> tuple[np.ndarray, list[str], list[str]]:
        from caudal.tables.frames import arrow

        table = arrow(self.features, [*self.inputs, "sha256", "label"])
        points = np.stack([table.column(name).to_numpy().astype(np.float32) for name in self.inputs], axis=1)
        return points, table.column("sha256").to_pylist(), [str(value) for value in table.column("label").to_pylist()]

    @cached_property
    def _image_positions(self) -> dict[str, tuple[str, int, int]]:
        """The position of each image's bytes: file, row group, row."""
        from caudal.storage.parquet import open_parquet

        positions = {}
        for path in self.images.paths():
            with open_parquet(place(path)) as file:
                for group in range(file.num_row_groups):
                    hashes = file.read_row_group(group, columns=["sha256"]).column(0).to_pylist()
                    positions.update({sha256: (path, group, number) for number, sha256 in enumerate(hashes)})
        return positions


def featurizer_of(home: Home, ledger: Ledger, served: Served) -> ImageFeaturizer | None:
    """Return the featurizer of a champion; None if its inputs do not come from images.

    Raises
    ------
    CaudalError, OSError : the tables behind its inputs are gone, or the lake does not answer
    """
    rows = ledger.find(model_versions, product=served.product, model=served.model, version=served.version)
    if not rows:
        return None
    table, version = str(rows[0]["training_table"]), int(rows[0]["training_version"])
    stored_fits = read_fits(home.path / rows[0]["artifact"])
    fits = (
        stored_fits[table].fits
        if stored_fits and table in stored_fits
        else read_version_files(home.table(served.product, table), version)
    )
    return _build_featurizer(home, served, table, version, fits)


def _build_featurizer(home: Home, served: Served, table: str, version: int, fits: Mapping[str, bytes]) -> ImageFeaturizer | None:
    folder = home.table(served.product, table)
    components = [content for name, content in fits.items() if name.startswith("pca:")]
    if len(components) != 1:
        return None
    # Arrow and PySpark are for images only.
    from caudal.stages.features.embed import KEPT, network_of
    from caudal.stages.features.pca import PrincipalComponents

    network_source = _network_content(home, served.product, table, version, f"{KEPT}:")
    fitted = PrincipalComponents.load(components[0])
    inputs = tuple(input_.name for input_ in served.signature.inputs)
    if network_source is None or len(inputs) != len(fitted.components):
        return None
    network_content, images = network_source
    network, side = network_of(network_content)
    return ImageFeaturizer(network, side, fitted, inputs, delta.read_version(folder, version), images)


def _network_content(home: Home, product: str, table: str, version: int, prefix: str) -> tuple[bytes, delta.Version] | None:
    """Return the content stored under a name by the table or one of its inputs, and the version of the first table that this one
    read."""
    folder = home.table(product, table)
    inputs = delta.identity(folder, version).get("inputs", {})
    for name, content in read_version_files(folder, version).items():
        if name.startswith(prefix) and inputs:
            first, number = next(iter(inputs.items()))
            return content, delta.read_version(home.table(product, first), number)
    for name, number in inputs.items():
        if (source := _network_content(home, product, name, number, prefix)) is not None:
            return source
    return None


def featurizers(home: Home, ledger: Ledger) -> FeaturizerOf:
    """Return a function that returns a champion's featurizer, created once each; None while its tables cannot be read."""
    cached: dict[tuple[str, str], tuple[Served, ImageFeaturizer | None, float]] = {}

    def featurizer(served: Served) -> ImageFeaturizer | None:
        name = (served.product, served.model)
        if name not in cached or cached[name][0] is not served or time.monotonic() > cached[name][2]:
            try:
                cached[name] = (served, featurizer_of(home, ledger, served), float("inf"))
            except (CaudalError, OSError):
                cached[name] = (served, None, time.monotonic() + _AGAIN_S)
        return cached[name][1]

    return featurizer
