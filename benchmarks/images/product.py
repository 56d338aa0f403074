"""The product that is measured: images, embedded."""

from __future__ import annotations

import caudal as cd

product = cd.Product("measured")
product.source("images", cd.images("*/*.jpg"))


@product.table(partition="file", retry=2)
def embedding(images):
    return cd.embed(images, network=cd.network("efficientnet-lite0"))
