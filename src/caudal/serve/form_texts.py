"""The texts of a form, and the values that they mean."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import timedelta

from caudal.serve.served import Served
from caudal.serve.signature import ModelInput, Signature, shown_number

DATE, CLOCK = ":date", ":time"  # a time is asked for by two fields
FRESH_S = timedelta(days=1).total_seconds()  # a view whose data are newer is asked about now, an older one about its end


def starting_texts(served: Served) -> dict[str, str]:
    """Return the texts of a form before anything was entered: a typical row, and now, or the time up to which the data go."""
    asked = served.asked
    texts = {
        name: entered_text(value, asked.by_name[name])
        for name, value in asked.starting_values.items()
        if not asked.by_name[name].found_by
    }
    for input_ in asked.inputs:
        if input_.time_of is None:
            continue
        now_us = input_.time_of.now_us(time.time())
        until_us = None if served.view is None else served.view.described["until_us"]
        at_us = now_us if until_us is None or now_us - until_us < FRESH_S * 1e6 else until_us
        wall = input_.time_of.wall(at_us)
        texts |= {input_.name + DATE: wall.date().isoformat(), input_.name + CLOCK: wall.strftime("%H:%M")}
        texts.pop(input_.name, None)
    return texts


def joined_times(texts: Mapping[str, str], asked: Signature) -> dict[str, str]:
    """Return a form's texts with the date and the clock of each time in one."""
    joined = dict(texts)
    for input_ in asked.inputs:
        if input_.time_of is not None and input_.name not in joined:
            date, clock = (joined.pop(input_.name + part, "").strip() for part in (DATE, CLOCK))
            joined[input_.name] = f"{date}T{clock}" if date and clock else date or clock
    return joined


def from_text(texts: Mapping[str, str], signature: Signature) -> dict[str, object]:
    """Return the values of a form's texts; a text that is not a value stays, and validation refuses it. What the server finds by itself may be left empty."""
    values: dict[str, object] = {}
    for name, text in texts.items():
        input_ = signature.by_name.get(name)
        text = text.strip()
        if input_ is None:
            values[name] = text
        elif text != "":
            values[name] = _value(text, input_)
        elif input_.nullable and not input_.found_by and not input_.is_needed_by:
            values[name] = None
    return values


def entered_text(value: object, input_: ModelInput) -> str:
    """Return a value as text for the form: by its name, where it has one; whole floats without a decimal point."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
    return next((name for name, of in input_.choices.items() if of == text), text)


def readable_value(value: object, input_: ModelInput) -> str:
    """Return a value as people read it: by its name, where it has one, and with its unit.

    Examples
    --------
    >>> readable_value(74, ModelInput("zone", "long", names={"74": "East Harlem North"})), readable_value(1234.5, ModelInput("distance", "double", unit="m"))
    ('East Harlem North', '1,234.5 m')
    >>> readable_value(None, ModelInput("distance", "double")), readable_value(True, ModelInput("weekend", "boolean"))
    ('none', 'yes')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = shown_number(value) if isinstance(value, float) and not input_.choices else entered_text(value, input_)
    return f"{text} {input_.unit}" if input_.unit else text


def _value(text: str, input_: ModelInput) -> object:
    text = input_.choices.get(text, text)
    if input_.type == "boolean":
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), text)
    # float() would also accept 1_000, nan and inf, which nobody means in a form.
    if input_.type in ("string", "time") or not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text, re.ASCII):
        return text
    if input_.type == "long" and re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII):
        return int(text)
    return float(text)
