"""The places of a home's online views."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy.exc import ArgumentError

from caudal.errors import DeclarationProblem
from caudal.kinds import VIEW_PLACES
from caudal.secret import redact, shown
from caudal.tables.home import Home
from caudal.tables.online import OnlineView, ViewDraft, ViewName, ViewPlace
from caudal.tables.view_place_kind import ViewPlaceKind

FILES = "sqlite"


def place_kind(url: str) -> ViewPlaceKind:
    """Return the kind of place that an address names.

    Raises
    ------
    DeclarationProblem : no kind has its scheme
    """
    scheme = url.partition("://")[0].lower()
    kinds: list[ViewPlaceKind] = list(VIEW_PLACES.values())
    for kind in kinds:
        if scheme in kind.schemes:
            return kind
    forms = " or ".join(kind.form for kind in kinds if kind.form)
    raise DeclarationProblem(
        f"The setting online is '{shown(url)}', which is no place of online views.", fix=f"Write CAUDAL_ONLINE as {forms}, or leave it out."
    )  # fmt: skip


def view_place(home: Home) -> ViewPlace:
    """Return the place in which runs write a home's views and servers find them; whoever takes it closes it.

    Raises
    ------
    DeclarationProblem : the setting names no place
    EnvironmentProblem : the library for it is not installed
    """
    url, folder = home.views_url, home.path / "online"
    kind: ViewPlaceKind = place_kind(url) if url else VIEW_PLACES[FILES]
    try:
        return kind.opened(url or "", folder)
    except (ValueError, ArgumentError) as error:  # a port that is no number, for one
        raise DeclarationProblem(
            f"The setting online is '{shown(url or '')}', which cannot be read: {redact(str(error)).rstrip('.')}.", fix=f"Write CAUDAL_ONLINE as {kind.form}."
        ) from None  # fmt: skip


@contextmanager
def all_view_places(home: Home) -> Iterator[list[ViewPlace]]:
    """Yield the place of a home's views and its folder, in which views may be left from before another place was set."""
    with closing(view_place(home)) as place:
        files: ViewPlace = VIEW_PLACES[FILES].opened("", home.path / "online")
        yield [place] if home.views_url is None else [place, files]


def opened_view(place: ViewPlace, name: ViewName) -> OnlineView:
    """Return a view of a place.

    Raises
    ------
    OSError, sqlite3.Error, ValueError, ViewsUnavailable : see `ViewPlace.open`
    """
    return OnlineView(place.open(name))


@contextmanager
def drafted_view(place: ViewPlace, name: ViewName) -> Iterator[ViewDraft]:
    """Yield a new view that is to be written, and remove what is left of it unless it is published."""
    draft = place.draft(name)
    try:
        yield draft
    finally:
        draft.discard()
