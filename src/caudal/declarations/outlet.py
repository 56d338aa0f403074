"""Outlets: rows of a stream that are sent to other systems as they are written, with a declared delivery guarantee."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from caudal.declarations.detector import Detection
from caudal.declarations.location import Location
from caudal.declarations.statistics import Statistics
from caudal.errors import DeclarationProblem, nearest
from caudal.secret import secrets_hidden

Delivery = Literal["exactly once", "at least once", "at most once"]


@dataclass(frozen=True)
class Destination:
    """A system that rows are sent to. Each kind has a file of its name in ``streaming/outlets``, which sends them."""

    kind: ClassVar[str]

    @property
    def shown(self) -> str:
        """The name of the destination, as text."""
        return self.kind


@dataclass(frozen=True)
class Topic(Destination):
    """A Kafka topic: one message a row, a JSON object, with the device as its key.

    Parameters
    ----------
    servers : str, optional, ``host:port`` of brokers; from the setting ``kafka`` (``CAUDAL_KAFKA``), else 127.0.0.1:9092, when left out
    options : mapping, options of Kafka's Java client under the same names as for a source (``kafka.sasl.jaas.config``); values
        of `caudal.env` are looked up when the topic is written to
    """

    topic: str
    servers: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    kind: ClassVar[str] = "topic"

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", secrets_hidden(self.options))

    @property
    def shown(self) -> str:
        """The topic's name."""
        return self.topic


@dataclass(frozen=True)
class Drop(Destination):
    """A folder: one file of JSON lines for each micro-batch with rows, moved in when it is complete."""

    folder: str
    kind: ClassVar[str] = "drop"

    @property
    def shown(self) -> str:
        """The folder."""
        return self.folder


@dataclass(frozen=True)
class Outlet:
    """The declaration of an outlet.

    Parameters
    ----------
    of : str, the statistics table or the detection whose rows are sent as soon as they exist
    delivery : the guarantee when the stream or the other system fails
    """

    name: str
    of: str
    to: Destination
    delivery: Delivery
    where: Location


def topic(name: str, *, servers: str | None = None, **options: object) -> Topic:
    """Return a Kafka topic as the destination of rows.

    Raises
    ------
    DeclarationProblem : an option's name does not begin with ``kafka.``, as those of Kafka's client do
    """
    if others := [option for option in options if not option.startswith("kafka.")]:
        raise DeclarationProblem(
            f"cd.topic('{name}') takes no option '{others[0]}'.",
            nearest=nearest(others[0], ("servers",)),
            fix="Options of Kafka's client begin with 'kafka.', such as **{'kafka.security.protocol': 'SASL_SSL'}.",
        )
    return Topic(name, servers, options)


def drop(folder: str) -> Drop:
    """Return a folder as the destination of rows; relative to the data folder (``--data``)."""
    return Drop(str(folder))


def outlet_of(name: str, of: Statistics | Detection, to: Destination, delivery: Delivery, where: Location) -> Outlet:
    """Return the checked declaration of an outlet.

    Raises
    ------
    DeclarationProblem : the rows are neither of statistics nor of a detection, or the destination or the delivery is invalid
    """
    if not isinstance(of, Statistics | Detection):
        raise DeclarationProblem(
            f"'{name}' cannot send '{getattr(of, 'name', of)}'.",
            fix="Name what product.statistics(...) or product.detect(...) gave; other tables are exported (caudal export).",
            where=str(where),
        )
    if not isinstance(to, Destination):
        raise DeclarationProblem(
            f"'{name}' has no destination.", fix="Write cd.topic('name') or cd.drop('folder').", where=str(where)
        )
    if delivery not in get_args(Delivery):
        raise DeclarationProblem(
            f"'{name}' asks for the delivery '{delivery}'.",
            nearest=nearest(delivery, get_args(Delivery)),
            fix=f"Choose one of: {', '.join(get_args(Delivery))}.",
            where=str(where),
        )
    return Outlet(name, of.name, to, delivery, where)
