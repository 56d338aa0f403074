"""Fruits in photographs: from files in folders to what a new photograph shows."""

from __future__ import annotations

from pyspark.sql import DataFrame
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import caudal as cd
from caudal import expect as ex

product = cd.Product("fruits", owner="fruits@example.org", description="Fruits in photographs: which one a photograph shows.")

product.source("images", cd.images("grocery/*/*.jpg"))


@product.table(partition="file", retry=2, expect=[ex.not_null("label").stop()])
def embedding(images: DataFrame) -> DataFrame:
    """One row per photograph: 1,280 features by a CNN that was trained on ImageNet."""
    return cd.embed(images, network=cd.network("efficientnet-lite0"), size=224, floor=160)


product.about(
    "embedding",
    network="The network that computed the features",
    embedding="The features of the photograph, by the network's last layer",
)


@product.features(
    entity="sha256", as_of="modified_at", labels=["label"],
    keep=["path", "bytes", "width", "height", "format", "network"],
    expect=[ex.unique("sha256").quarantine(max_share=0.5)],
)  # fmt: skip
def principal(embedding: DataFrame) -> DataFrame:
    """One row per photograph: the first 64 principal components of its features."""
    return cd.pca(embedding, "embedding", components=64)


kind = product.model(
    "kind",
    features=principal,
    label="label",
    task="classification",
    metric="accuracy",
    # Components are given as they are: scaled to one variance, the last would count as much as the first.
    candidates={
        "nearest": make_pipeline(KNeighborsClassifier(5, weights="distance", metric="cosine")),
        "logistic": make_pipeline(LogisticRegression(C=0.1, max_iter=1000)),
    },
    split=cd.hashed(test=0.25, folds=4),
    gates=[cd.beats_baseline(margin=0.5), cd.limit("accuracy", 0.6), cd.beats_champion(tolerance=0.02)],
    description="Which fruit a photograph shows.",
)
product.predict(kind)
product.serve(kind)
