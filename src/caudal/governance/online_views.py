"""A person's rows in the online views of served models. Runs make these anew from tables without the person; what still holds one is removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from caudal.declarations.product import Product
from caudal.governance.held import Occurrence
from caudal.governance.identity import Person
from caudal.tables.home import Home
from caudal.tables.online import UNREADABLE, ViewPlace, ViewsUnavailable
from caudal.tables.views import all_view_places, opened_view


def search_views(
    product: Product, home: Home, who: Person, columns: Mapping[str, set[str]], searched: dict[str, int], not_searched: list[str]
) -> Iterator[Occurrence]:
    """Yield the views with rows of the subject, or names for it; one that cannot be read counts as such, since it is made anew.

    Parameters
    ----------
    not_searched : receives places that do not answer
    """
    with all_view_places(home) as places:
        for place in places:
            try:
                for model, rows in _views_with(place, product, who, columns, searched):
                    yield Occurrence("view", model, place.shown, rows, True)
            except ViewsUnavailable as error:
                not_searched.append(f"online views: {error.what}")


def _views_with(
    place: ViewPlace, product: Product, who: Person, columns: Mapping[str, set[str]], searched: dict[str, int]
) -> Iterator[tuple[str, int]]:
    """Yield the models whose view in a place holds the subject, with the number of rows."""
    names = set().union(*columns.values()) if columns else set()
    for model in place.models(product.name):
        searched["view"] = searched.get("view", 0) + 1
        try:
            view = opened_view(place, (product.name, model))
            types = view.described["key_types"]
            rows = view.rows_with(
                lambda key, text, types=types: key in names and who.is_written(text, types.get(key))  # type: ignore[misc]
            )
        except ViewsUnavailable:
            raise
        except UNREADABLE:
            rows = 1
        if rows:
            yield model, rows


def remove_views(product: Product, home: Home, who: Person, columns: Mapping[str, set[str]]) -> None:
    """Remove the views that still hold the subject, those that were replaced, and what is left of views that were never finished.

    A place that does not answer is left out: the search that follows says so.
    """
    with all_view_places(home) as places:
        for place in places:
            with suppress(ViewsUnavailable):
                for model, _ in list(_views_with(place, product, who, columns, {})):
                    place.remove((product.name, model))
                place.sweep(product.name, replaced=True)
