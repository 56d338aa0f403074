"""The same product with images of 32 pixels: what could grow with their number would grow all the same, and 100,000 take minutes."""

from __future__ import annotations

import caudal as cd

product = cd.Product("measured")
product.source("images", cd.images("*/*.jpg"))


@product.table(partition="file", retry=2)
def embedding(images):
    return cd.embed(images, network=cd.network("efficientnet-lite0"), size=32, floor=32)
