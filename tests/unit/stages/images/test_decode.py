"""Pixels of odd images: turned, transparent, of other colours, cut off, enormous, and no images at all."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest

from caudal.stages.images.decode import UnreadableImage, header, pixels, thumbnail

Image = pytest.importorskip("PIL.Image")

MANY = 10**8


def packed(image, format: str = "PNG", **more) -> bytes:
    held = io.BytesIO()
    image.save(held, format, **more)
    return held.getvalue()


def quarters(width: int, height: int):
    """An image whose quarters are red, green, blue and white."""
    made = np.full((height, width, 3), 255, np.uint8)
    made[: height // 2, : width // 2] = (255, 0, 0)
    made[: height // 2, width // 2 :] = (0, 255, 0)
    made[height // 2 :, : width // 2] = (0, 0, 255)
    return Image.fromarray(made)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_camera_says(orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    content = packed(quarters(96, 64), "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    # Rows and columns are resized one after the other, so a turned image differs by a rounding.
    assert abs(pixels(content, 32, MANY).astype(int) - pixels(packed(upright), 32, MANY)).max() <= 2


def test_the_middle_square_is_taken() -> None:
    wide = np.zeros((64, 256, 3), np.uint8)
    wide[:, 96:160] = 200
    assert (pixels(packed(Image.fromarray(wide)), 32, MANY) == 200).all()


def test_what_is_transparent_is_on_white() -> None:
    assert (pixels(packed(Image.new("RGBA", (64, 64), (0, 0, 0, 0))), 32, MANY) == 255).all()


def test_a_colour_that_stands_for_transparent_is_on_white() -> None:
    held = io.BytesIO()
    Image.new("RGB", (64, 64), (1, 2, 3)).save(held, "PNG", transparency=(1, 2, 3))
    assert (pixels(held.getvalue(), 32, MANY) == 255).all()


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_without_a_white_are_told(mode: str) -> None:
    with pytest.raises(UnreadableImage, match="32 bits a pixel"):
        pixels(packed(Image.new(mode, (64, 64), 1), "TIFF"), 32, MANY)


@pytest.mark.parametrize(
    ("mode", "colour", "format", "wanted"),
    [
        ("L", 128, "PNG", 128),
        ("1", 1, "PNG", 255),
        ("P", 0, "GIF", 0),
        ("I;16", 128 * 257, "PNG", 128),
        ("CMYK", (0, 0, 0, 127), "JPEG", 128),
    ],
)
def test_other_colours_become_three(mode: str, colour, format: str, wanted: int) -> None:
    found = pixels(packed(Image.new(mode, (64, 64), colour), format), 32, MANY)
    assert found.shape == (32, 32, 3)
    assert abs(found.astype(int) - wanted).max() <= 2


def test_a_large_jpeg_decoded_small_looks_the_same() -> None:
    large = quarters(1600, 1200)
    small = pixels(packed(large, "JPEG", quality=95), 64, MANY).astype(int)
    assert abs(small - pixels(packed(large), 64, MANY)).mean() < 2


def bomb(width: int, height: int) -> bytes:
    """The header of a PNG of any size, and nothing behind it."""
    said = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", said), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_bomb_is_not_decoded() -> None:
    content = bomb(60_000, 60_000)
    assert (header(content).width, header(content).height) == (60_000, 60_000)
    with pytest.raises(UnreadableImage, match="has 60000 × 60000 pixels, more than the allowed 100,000,000"):
        pixels(content, 32, MANY)


def test_what_takes_more_memory_than_there_is_is_told_and_a_plain_jpeg_is_not_for_its_size() -> None:
    large, room = quarters(1600, 1200), 10 * 2**20
    assert pixels(packed(large, "JPEG"), 32, MANY, room=room).shape == (32, 32, 3)
    with pytest.raises(
        UnreadableImage, match=r"JPEG of 1600 × 1200 pixels, which takes up to 1[0-9] MiB to decode; a worker has 10"
    ):
        pixels(packed(large, "JPEG", progressive=True), 32, MANY, room=room)
    with pytest.raises(UnreadableImage, match="PNG of 1600 × 1200 pixels, which takes up to 38 MiB"):
        pixels(packed(large), 32, MANY, room=room)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "is empty"), (b"%PDF-1.7 and more", "is no image: it begins with b'%PDF-1.7'"), (b"\xff\xd8\xff", "is no image|header")],
)
def test_what_is_no_image_is_told(content: bytes, why: str) -> None:
    with pytest.raises(UnreadableImage, match=why):
        header(content)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_an_image_that_is_cut_off_is_told(format: str) -> None:
    whole = packed(Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)), format)
    with pytest.raises(UnreadableImage, match=r"cannot be decoded|is no image|header"):
        pixels(whole[: len(whole) // 2], 32, MANY)


def test_a_thumbnail_is_a_small_jpeg() -> None:
    found = Image.open(io.BytesIO(thumbnail(packed(quarters(300, 200)), 96, MANY)))
    assert (found.format, found.size) == ("JPEG", (96, 96))
