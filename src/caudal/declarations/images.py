"""Declarations of image sources and of the networks that embed images; they need no engine and no image library."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, get_args

from caudal.declarations.address import address
from caudal.declarations.connection import UNDESCRIBED, Connection
from caudal.declarations.location import outside
from caudal.declarations.schema import Field, Schema
from caudal.errors import DeclarationProblem, nearest
from caudal.kinds import NETWORKS
from caudal.secret import Address, secrets_hidden

Gone = Literal["keep", "quarantine"]
MAX_PIXELS = 100_000_000
MAX_BYTES = 64 * 2**20

COLUMNS = Schema(
    (
        Field(
            "path",
            "string",
            nullable=False,
            description="where the image came from: its path below the data folder, or its address",
        ),
        Field("label", "string", description="name of the folder that it lies in"),
        Field("sha256", "string", nullable=False),
        Field("bytes", "long", unit="B"),
        Field("width", "int", unit="px"),
        Field("height", "int", unit="px"),
        Field("format", "string"),
        Field("modified_at", "timestamp_utc"),
        Field("content", "binary"),
    ),
    open=False,
)


@dataclass(frozen=True)
class Images(Connection):
    """Images that match a glob in the data folder, or at an address; the folder of an image is its label.

    Parameters
    ----------
    max_pixels : int, an image with more pixels goes to quarantine without being decoded
    max_bytes : int, a larger file goes to quarantine without being copied
    gone : what happens to the row of an image that was removed or moved to another folder: it stays, or goes to quarantine
    """

    pattern: str
    max_pixels: int = MAX_PIXELS
    max_bytes: int = MAX_BYTES
    settle_s: float = 0.0
    required: bool = True
    storage: Mapping[str, object] = field(default_factory=dict)
    gone: Gone = "keep"
    address: Address | None = field(default=None, kw_only=True, repr=False, metadata=UNDESCRIBED)
    kind: ClassVar[str] = "images"

    def __post_init__(self) -> None:
        if self.remote and self.address is None:
            self._set("address", address(self.pattern))
            self._set("pattern", str(self.address))
        self._set("storage", secrets_hidden(self.storage))

    @property
    def remote(self) -> bool:
        """Whether the images are at an address, and not in a folder."""
        return "://" in self.pattern


def images(
    pattern: str,
    *,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    settle: float = 0.0,
    required: bool = True,
    storage: Mapping[str, object] | None = None,
    gone: Gone = "keep",
) -> Images:
    """Return a source of images, one row each: ``path, label, sha256, bytes, width, height, format, modified_at, content``."""
    if min(max_pixels, max_bytes) < 1:
        raise DeclarationProblem("A limit below 1 lets no image in.", fix="Leave max_pixels and max_bytes out, or raise them.")
    if gone not in get_args(Gone):
        raise DeclarationProblem(
            f"There is no gone='{gone}' for removed images.",
            nearest=nearest(gone, get_args(Gone)),
            fix='Use "keep", or "quarantine" where the folder holds the complete current data.',
        )
    return Images(str(pattern), max_pixels, max_bytes, settle, required, storage or {}, gone)


@dataclass(frozen=True)
class Network:
    """A CNN that turns images into features.

    Parameters
    ----------
    name : a network of caudal, or the path of an ONNX model
    sha256 : hash of the model's file; None for a network of caudal, whose weights are pinned in its code
    mean, std : subtracted from a colour value (0 to 255), and its divisor after that, for a model that takes numbers
    last_layer : True keeps a classifier's last layer; without it the network returns the inputs of that layer
    """

    name: str
    sha256: str | None = None
    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    last_layer: bool = False


def network(
    name: str,
    *,
    mean: tuple[float, float, float] = (127.0, 127.0, 127.0),
    std: tuple[float, float, float] = (128.0, 128.0, 128.0),
    last_layer: bool = False,
) -> Network:
    """Return a network by its name, or an ONNX model by its path, relative to the file that declares it.

    Raises
    ------
    DeclarationProblem : there is no such network and no such file
    """
    where = outside()
    if name in NETWORKS:
        return Network(name)
    path = Path(where.file).parent / Path(name).expanduser()
    if not path.is_file():
        raise DeclarationProblem(
            f"There is no network '{name}', and no file '{path}'.",
            nearest=nearest(name, NETWORKS),
            fix=f"Networks are: {', '.join(NETWORKS)}; or give the path of an ONNX model.",
            where=str(where),
        )
    return Network(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), mean, std, last_layer)
