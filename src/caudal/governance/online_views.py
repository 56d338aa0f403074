"""A person's rows in the online views of served models. Runs make these anew from tables without the person; what still holds one is removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from caudal.declarations.product import Product
from caudal.governance.held import Occurrence
from caudal.governance.identity import Person
from caudal.tables.home import Home
from caudal.tables.online import UNREADABLE, OnlineView, drafts, view_file, views


def search_views(
    product: Product, home: Home, who: Person, columns: Mapping[str, set[str]], searched: dict[str, int]
) -> Iterator[Occurrence]:
    """Yield the views with rows of the subject, or names for it; one that cannot be read counts as such, since it is made anew."""
    names = set().union(*columns.values()) if columns else set()
    for model, file in views(home.online(product.name)):
        searched["view"] = searched.get("view", 0) + 1
        try:
            view = OnlineView(file)
            types = view.described["key_types"]
            rows = view.rows_with(
                lambda key, text, types=types: key in names and who.is_written(text, types.get(key))  # type: ignore[misc]
            )
        except UNREADABLE:
            rows = 1
        if rows:
            yield Occurrence("view", model, file.name, rows, True)


def remove_views(product: Product, home: Home, who: Person, columns: Mapping[str, set[str]]) -> None:
    """Remove the views that still hold the subject, and what is left of views that were never finished."""
    folder = home.online(product.name)
    for occurrence in list(search_views(product, home, who, columns, {})):
        view_file(folder, occurrence.name).unlink(missing_ok=True)
    for draft in drafts(folder):
        draft.unlink(missing_ok=True)
