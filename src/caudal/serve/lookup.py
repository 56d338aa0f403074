"""Features that the server finds itself: what callers are asked for in their place, and a model's row from what they gave."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from caudal.json_value import Scalar
from caudal.serve.inputs import ABSENT, Problem, Row, input_problem
from caudal.serve.signature import ModelInput, Signature
from caudal.serve.times import TimeOf, utc
from caudal.tables.online import UNREADABLE, OnlineView, key_text

log = logging.getLogger(__name__)

Found = dict[str, Any]
_TYPES: Mapping[str, Callable[[Any], object]] = {"double": float, "long": int, "boolean": bool, "string": str}


@dataclass(frozen=True)
class FoundGroup:
    """Inputs of the model that are found by one key.

    Parameters
    ----------
    number : place of the group in the view
    columns : by input, the place of its value among those of the group, and what makes its type of it
    """

    number: int
    keys: tuple[str, ...]
    time: str
    columns: tuple[tuple[str, int, Callable[[Any], object]], ...]


class Lookups:
    """What is looked up for one version of a model in one online view.

    Parameters
    ----------
    signature : that of the version
    view : the view; what it has and the version does not take is left out
    """

    def __init__(self, signature: Signature, view: OnlineView) -> None:
        self.signature, self.view = signature, view
        described, inputs = view.described, signature.by_name
        self.calendar = [(name, part) for name, part in view.calendar.items() if name in inputs]
        self.groups = [
            FoundGroup(
                number, tuple(group["keys"]), group["time"],
                tuple((name, place, _TYPES[inputs[name].type]) for place, name in enumerate(group["columns"]) if name in inputs),
            )
            for number, group in enumerate(described["groups"])
            if any(name in inputs for name in group["columns"])
        ]  # fmt: skip
        self.found_inputs = tuple(
            [name for name, _ in self.calendar] + [name for group in self.groups for name, _, _ in group.columns]
        )
        self.times = {name: TimeOf(local, described["tz"]) for name, local in described["times"].items()}

    @cached_property
    def asked(self) -> Signature:
        """What callers are asked for: inputs that nobody else knows, keys and times; then, optional, what is found otherwise."""
        found, names = set(self.found_inputs), self.view.names
        given = [replace(input_, names=names.get(input_.name)) for input_ in self.signature.inputs if input_.name not in found]
        have = {input_.name for input_ in given} | found
        keys = dict.fromkeys(key for group in self.groups for key in group.keys if key not in have)
        times = dict.fromkeys([*(part.time for _, part in self.calendar), *(group.time for group in self.groups if group.time)])
        asked = [*given, *(self._key(key, names.get(key)) for key in keys), *(self._time(name) for name in times)]
        optional = [
            replace(input_, nullable=True, found_by=self._found_by(input_.name))
            for input_ in self.signature.inputs
            if input_.name in found
        ]
        return Signature((*asked, *optional), self.signature.output, self._example(times))

    def _key(self, name: str, names: Mapping[str, str] | None) -> ModelInput:
        kind: Any = self.view.described["key_types"].get(name, "string")
        return ModelInput(
            name, kind, nullable=True, label=self._label(name), description=self._declared(name).get("description"), names=names,
            is_needed_by=self._needing(name),
        )  # fmt: skip

    def _key_value(self, name: str, text: str) -> Scalar:
        kind = self.view.described["key_types"].get(name, "string")
        return text == "true" if kind == "boolean" else int(text) if kind == "long" else text

    def _declared(self, name: str) -> dict[str, Any]:
        return self.view.described["fields"].get(name, {})

    def _label(self, name: str) -> str:
        return self._declared(name).get("label") or name.replace("_", " ").capitalize()

    def _time(self, name: str) -> ModelInput:
        of = self.times[name]
        zone = f"Without an offset it is local time of {of.tz}."
        return ModelInput(
            name, "time", nullable=True, label=self._label(name), description=self._declared(name).get("description") or zone, time_of=of,
            is_needed_by=self._needing(name),
        )  # fmt: skip

    def _needing(self, name: str) -> tuple[str, ...]:
        """Return the inputs that are found by a key or a time."""
        parts = [input_ for input_, part in self.calendar if part.time == name]
        return (*parts, *(input_ for group in self.groups if name in (*group.keys, group.time) for input_, _, _ in group.columns))

    def _found_by(self, name: str) -> tuple[str, ...]:
        """Return the times and keys that an input is found by."""
        for input_, part in self.calendar:
            if input_ == name:
                return (part.time,)
        return next(
            (*group.keys, *((group.time,) if group.time else ()))
            for group in self.groups
            if any(name == column for column, _, _ in group.columns)
        )

    def _example(self, times: Mapping[str, None]) -> dict[str, Scalar]:
        example: dict[str, Scalar] = {
            name: value for name, value in self.signature.example.items() if name not in self.found_inputs
        }
        for group in self.groups:  # a key that is no input of the model has no value in its example
            if any(key not in example for key in group.keys) and (texts := self.view.newest_key(group.number)) is not None:
                example = {key: self._key_value(key, text) for key, text in zip(group.keys, texts, strict=True)} | example
        until_us = self.view.described["until_us"]
        return example | ({} if until_us is None else {name: self.times[name].text(until_us) for name in times})

    def row(self, asked: Row, *, may_wait: bool = True) -> Row:
        """Return the model's row from what a caller gave, or what is missing.

        Parameters
        ----------
        may_wait : whether another machine may be waited for

        Raises
        ------
        NotKept : it would have to be waited for
        """
        given: Mapping[str, Any] = asked.values
        found: Found = {}
        lacking: dict[str, None] = {}
        unanswered: list[str] = []
        for name, part in self.calendar:
            if given[name] is ABSENT:
                at = given[part.time]
                if at is ABSENT:
                    lacking[part.time] = None
                else:
                    found[name] = None if at is None else part.of(at)
        for group in self.groups:
            if all(given[name] is not ABSENT for name, _, _ in group.columns):
                continue
            keys = [given[key] for key in group.keys]
            at = given[group.time] if group.time else 0
            if at is ABSENT or ABSENT in keys:
                lacking |= dict.fromkeys(
                    name for name, value in zip((*group.keys, group.time), (*keys, at), strict=True) if value is ABSENT
                )
                continue
            try:
                values = None if at is None or None in keys else self._values(group, keys, at, may_wait)
            except UNREADABLE as error:
                log.warning("%s", error)
                unanswered += [name for name, _, _ in group.columns if given[name] is ABSENT]
                continue
            for name, place, type_ in group.columns:
                if given[name] is ABSENT:
                    value = None if values is None else values[place]
                    found[name] = None if value is None else type_(value)
        if lacking or unanswered:
            return Row(problems=[*(self._lacks(name) for name in lacking), *(self._not_answered(name) for name in unanswered)])
        known = {**given, **found}
        values_ = {input_.name: self._taken(input_, known[input_.name]) for input_ in self.signature.inputs}
        return Row(values_, looked_up=self.told(found), given=given)

    def _values(self, group: FoundGroup, keys: list[Any], at: int, may_wait: bool) -> tuple[Any, ...] | None:
        return self.view.values(group.number, [str(key_text(key)) for key in keys], at, may_wait=may_wait)

    def _not_answered(self, name: str) -> Problem:
        sentence = "The value is missing, and cannot be looked up now: the online view does not answer. Give it, or ask again."
        return input_problem(name, sentence, None, self.asked.by_name[name].allowed)

    def _taken(self, input_: ModelInput, value: object) -> object:
        """Return a value as the model takes it: where one is missing and none was in training, the default of training."""
        return self.signature.starting_values[input_.name] if value is None and not input_.nullable else value

    def _lacks(self, name: str) -> Problem:
        input_ = self.asked.by_name[name]
        needed = ", ".join(input_.is_needed_by or self._needing(name))
        return input_problem(name, f"The value is missing: {needed} cannot be found without it.", None, input_.allowed)

    def told(self, found: Found) -> dict[str, object]:
        """Return what an answer says of what was found."""
        return {
            "values": {name: value for name, value in found.items() if value is not None},
            "not_found": [name for name, value in found.items() if value is None],
            **self.age(),
        }

    def age(self) -> dict[str, object]:
        """Return when the view was built, how old it is in seconds, and up to when its data go."""
        return {
            "built_at": self._built_at, "age_s": round(max(0.0, time.time() - self.view.described["built_at"]), 1), "data_until": self.data_until,
        }  # fmt: skip

    @cached_property
    def _built_at(self) -> str | None:
        return utc(self.view.described["built_at"])

    @cached_property
    def data_until(self) -> str | None:
        """The time of the newest row that the view was made of."""
        until_us = self.view.described["until_us"]
        of = next(iter(self.times.values()), None)
        return None if until_us is None or of is None else of.text(until_us)
