"""Decode an image: its header, and its pixels in the size that a network takes.

Nothing of a file is decoded before its header is checked: 42 bytes can declare a picture of four gigapixels.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from PIL import Image

Octets: TypeAlias = "bytes | pa.Buffer"  # a buffer's bytes are not copied
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_WHOLE = 0.875  # of the shorter side; the share that the networks were evaluated with
_WHITE = (255, 255, 255)
# The memory that decoding takes, measured by `python -m benchmarks.images --only planner`.
PIXEL = 21  # bytes a pixel of the most expensive images: WebP's two pictures, the decoded one, one with its mask, and one on white
JPEG_PIXEL = 8  # bytes a pixel decoded at its scale; as much again for each pixel of a progressive image
FILE = 3  # times an image's bytes: the column's, the decoder's, and those of the piece before


class UnreadableImage(ValueError):
    """Raised for an image that cannot be used; the message continues a sentence that begins with the image."""


@dataclass(frozen=True)
class Header:
    """The header of an image: format as Pillow names it, width and height as stored, in pixels."""

    format: str
    width: int
    height: int


def header(content: Octets) -> Header:
    """Return the header of an image.

    Raises
    ------
    UnreadableImage : it is not an image
    """
    with _open(content) as image:
        return Header(str(image.format), *image.size)


def pixels(
    content: Octets, side: int, max_pixels: int, spent_s: MutableMapping[str, float] | None = None, room: int | None = None
) -> NDArray[np.uint8]:
    """Return the middle square of an image, upright, as uint8 [side, side, 3].

    The square has seven eighths of the shorter side. A JPEG is decoded at the smallest scale that is at least twice the requested size.

    Parameters
    ----------
    spent_s : mapping, optional; the seconds for ``decode`` and ``resize`` are added to it
    room : int, optional, bytes of memory that decoding may take

    Raises
    ------
    UnreadableImage : it is not an image, is cut off, has more pixels than allowed, or takes more memory than available
    """
    from PIL import Image, ImageOps

    start = time.perf_counter()
    with _open(content) as image:
        stored = Header(str(image.format), *image.size)
        _check(stored, max_pixels)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a library's warnings about odd headers do not concern the pixels
                if image.format == "JPEG" and min(image.size) >= 4 * side:
                    image.draft("RGB", (2 * side, 2 * side))
                _check_memory(image, stored, len(content), room)
                image.load()
                coloured = _as_rgb(image)
                decoded = time.perf_counter()
                width, height = coloured.size
                half = _WHOLE * min(width, height) / 2
                box = (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)
                small = coloured.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
                # A turned middle square is still the middle, so only the small one has to be turned.
                orientation = image.getexif().get(0x0112, 1)
                if orientation != 1:
                    small.getexif()[0x0112] = orientation
                    small = ImageOps.exif_transpose(small)
        except UnreadableImage:
            raise
        except Exception as error:  # decoders raise errors of any kind
            raise UnreadableImage(f"cannot be decoded: {_first_line(error)}") from None
    values = np.asarray(small)
    if spent_s is not None:
        spent_s["decode"] += decoded - start
        spent_s["resize"] += time.perf_counter() - decoded
    return values


def thumbnail(content: Octets, side: int, max_pixels: int) -> bytes:
    """Return an image as a small square JPEG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels(content, side, max_pixels)).save(out, "JPEG", quality=80)
    return out.getvalue()


def _open(content: Octets) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    if len(content) == 0:
        raise UnreadableImage("is empty")
    Image.MAX_IMAGE_PIXELS = None  # caudal's declared limit is checked before anything is decoded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise UnreadableImage(f"is no image: it begins with {bytes(content[:8])!r}") from None
    except Exception as error:
        raise UnreadableImage(f"has a header that cannot be read: {_first_line(error)}") from None


def _check(stored: Header, max_pixels: int) -> None:
    if stored.width * stored.height > max_pixels:
        raise UnreadableImage(f"has {stored.width} × {stored.height} pixels, more than the allowed {max_pixels:,}")
    if min(stored.width, stored.height) < 1:
        raise UnreadableImage("has no pixels")


def _check_memory(image: Image.Image, stored: Header, octets: int, room: int | None) -> None:
    """Raise UnreadableImage where decoding takes more memory than available; the image is drafted, but not decoded yet."""
    all_pixels, decoded_pixels = stored.width * stored.height, image.size[0] * image.size[1]
    if stored.format == "JPEG":
        need = JPEG_PIXEL * (decoded_pixels + (all_pixels if "progressive" in image.info else 0)) + FILE * octets
    else:
        need = PIXEL * all_pixels + FILE * octets
    if room is not None and need > room:
        raise UnreadableImage(
            f"is a {stored.format} of {stored.width} × {stored.height} pixels, which takes up to {need >> 20} MiB to decode;"
            f" a worker has {room >> 20}"
        )


def _as_rgb(image: Image.Image) -> Image.Image:
    """Return an image in three colours, transparent parts on white."""
    from PIL import Image

    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise UnreadableImage("has 32 bits a pixel, and does not say which of its numbers is white")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        ground = Image.new("RGB", rgba.size, _WHITE)
        ground.paste(rgba, mask=rgba.getchannel("A"))
        return ground
    if image.mode.startswith("I"):  # 16 bits a pixel; a plain conversion would clip them at 255
        return image.point(lambda value: value / 257).convert("L").convert("RGB")
    return image.convert("RGB")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
