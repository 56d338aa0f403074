"""Bytes of an image: what its header says, and its pixels in the size that a network wants.

Nothing of a file is decoded before its header was judged: 42 bytes can stand for a picture of four gigapixels.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Octets = Any  # bytes, or a buffer of them that is not copied
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_WHOLE = 0.875  # of the shorter side; what the networks were evaluated with
_WHITE = (255, 255, 255)
# What decoding takes, measured by `python -m benchmarks.images --only planner`.
PIXEL = 21  # bytes a pixel, of the dearest: WebP's own two pictures, the decoded one, once more with its mask, and on white
JPEG_PIXEL = 8  # of one decoded at its scale; as much again of the whole image where it comes in passes
FILE = 3  # times an image's bytes: as they come, as the decoder reads them, and what is left of the piece before


class Unfit(ValueError):
    """Why an image cannot be taken, in words for the one who delivered it."""


@dataclass(frozen=True)
class Header:
    """What the first bytes say: format as its library names it, width and height as stored, in pixels."""

    format: str
    width: int
    height: int


def header(content: Octets) -> Header:
    """Return what an image says of itself.

    Raises
    ------
    Unfit : it is none
    """
    with _opened(content) as image:
        return Header(str(image.format), *image.size)


def pixels(
    content: Octets, side: int, max_pixels: int, took: MutableMapping[str, float] | None = None, room: int | None = None
) -> np.ndarray[Any, Any]:
    """Return the middle square of an image, upright, as uint8 [side, side, 3].

    The middle seven eighths of the shorter side are taken. A JPEG is decoded at the smallest scale that is at least twice
    as large as asked.

    Parameters
    ----------
    took : mapping, optional; the seconds for ``decode`` and ``resize`` are added to it
    room : int, optional, bytes of memory that decoding may take

    Raises
    ------
    Unfit : it is no image, is cut off, has more pixels than are let in, or takes more memory than there is
    """
    import numpy as np
    from PIL import Image, ImageOps

    began = time.perf_counter()
    with _opened(content) as image:
        stored = Header(str(image.format), *image.size)
        _check(stored, max_pixels)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what a library has to say of odd headers is no fault of the pixels
                if image.format == "JPEG" and min(image.size) >= 4 * side:
                    image.draft("RGB", (2 * side, 2 * side))
                _fits(image, stored, len(content), room)
                image.load()
                plain = _coloured(image)
                decoded = time.perf_counter()
                width, height = plain.size
                half = _WHOLE * min(width, height) / 2
                box = (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)
                small = plain.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
                # The middle square stays the middle when it is turned, so only the small one need be.
                orientation = image.getexif().get(0x0112, 1)
                if orientation != 1:
                    small.getexif()[0x0112] = orientation
                    small = ImageOps.exif_transpose(small)
        except Unfit:
            raise
        except Exception as error:  # decoders raise whatever they come upon
            raise Unfit(f"cannot be decoded: {_said(error)}") from None
    found = np.asarray(small)
    if took is not None:
        took["decode"] += decoded - began
        took["resize"] += time.perf_counter() - decoded
    return found


def thumbnail(content: Octets, side: int, max_pixels: int) -> bytes:
    """Return an image as a small square JPEG."""
    from PIL import Image

    made = io.BytesIO()
    Image.fromarray(pixels(content, side, max_pixels)).save(made, "JPEG", quality=80)
    return made.getvalue()


def _opened(content: Octets) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    if len(content) == 0:
        raise Unfit("is empty")
    Image.MAX_IMAGE_PIXELS = None  # our own limit is declared, and asked for before anything is decoded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise Unfit(f"is no image: it begins with {bytes(content[:8])!r}") from None
    except Exception as error:
        raise Unfit(f"has a header that cannot be read: {_said(error)}") from None


def _check(found: Header, max_pixels: int) -> None:
    if found.width * found.height > max_pixels:
        raise Unfit(f"has {found.width} × {found.height} pixels, more than the {max_pixels:,} that are let in")
    if min(found.width, found.height) < 1:
        raise Unfit("has no pixels")


def _fits(image: Image.Image, stored: Header, octets: int, room: int | None) -> None:
    """Raise what an image is refused for that takes more memory than there is; it is drafted, and nothing of it is decoded."""
    whole, scaled = stored.width * stored.height, image.size[0] * image.size[1]
    if stored.format == "JPEG":
        need = JPEG_PIXEL * (scaled + (whole if "progressive" in image.info else 0)) + FILE * octets
    else:
        need = PIXEL * whole + FILE * octets
    if room is not None and need > room:
        raise Unfit(
            f"is a {stored.format} of {stored.width} × {stored.height} pixels, which takes up to {need >> 20} MiB to decode;"
            f" a worker has {room >> 20}"
        )


def _coloured(image: Image.Image) -> Image.Image:
    """Return an image in three colours, what is transparent on white."""
    from PIL import Image

    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise Unfit("has 32 bits a pixel, and does not say which of its numbers is white")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        seen = image.convert("RGBA")
        ground = Image.new("RGB", seen.size, _WHITE)
        ground.paste(seen, mask=seen.getchannel("A"))
        return ground
    if image.mode.startswith("I"):  # 16 bits a pixel; a plain conversion would cut them off at 255
        return image.point(lambda value: value / 257).convert("L").convert("RGB")
    return image.convert("RGB")


def _said(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
