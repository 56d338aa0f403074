"""The feeds of a home, and the newest update of each."""

from __future__ import annotations

import time
from pathlib import Path

from caudal.errors import NotThere, nearest
from caudal.messaging.feed import Feed
from caudal.messaging.updates import Update
from caudal.tables.home import Home

# A stream without an update for this long has stopped: normally there are several per second.
STOPPED_AFTER_S = 5.0


def streamed_products(home: Path) -> list[str]:
    """Return the products of a home that have, or had, a live feed."""
    folder = home / "live"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def feed_of(home: Path, product: str) -> Feed:
    """Return a product's feed.

    Raises
    ------
    NotThere : the home has no feed of that name
    """
    existing = streamed_products(home)
    if product not in existing:  # only listed names, so that no name leads out of the folder
        raise NotThere(
            f"There is no stream of a product '{product}'.",
            nearest=nearest(product, existing),
            fix="Start one with 'caudal stream'.",
            product=product,
        )
    return Feed(Home(home).live(product))


def last_of(feed: Feed) -> Update | None:
    """Return the newest update, None if there is none yet."""
    updates = feed.tail(feed.end() - 1)
    return updates[-1][1] if updates else None


def age_s(update: Update) -> float:
    """Return the seconds since an update was made."""
    return max(0.0, time.time() - float(update["at"]))
