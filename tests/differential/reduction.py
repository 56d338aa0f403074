"""A history that the oracle found → the shortest one that still differs, and that one as a folder that a person can run."""

from __future__ import annotations

import datetime as dt
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.differential import folder as text
from tests.differential.fresh import BEGAN_S
from tests.differential.grammar import Product
from tests.differential.histories import Content, History, Moment, Put, encoded

CLOCK = '''"""Have the clock be wrong by CLOCK_SHIFT seconds."""

import time

shift, right = float(os.environ.get("CLOCK_SHIFT", "0")), time.time
if shift:
    time.time = lambda: right() + shift
'''


def reduced(history: History, table: str, differs: Callable[[History], bool], seconds: float) -> History:
    """Return a smaller history that still differs, as small as is found within some seconds."""
    until = time.monotonic() + seconds
    if table:
        only = _only(history, table)
        history = only if differs(only) else history
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(history):
            if time.monotonic() > until:
                return history
            if differs(smaller):
                history, progress = smaller, True
                break
    return history


def _only(history: History, table: str) -> History:
    """Return the history with what leads to a table alone."""
    wanted, waiting = set[str](), [table]
    inputs = {made.name: made.inputs for made in history.product.tables}
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        waiting += [other for other in inputs.get(name, ()) if other not in wanted]
    product = replace(
        history.product, sources=tuple(source for source in history.product.sources if source.name in wanted),
        tables=tuple(made for made in history.product.tables if made.name in wanted),
    )  # fmt: skip
    return _with_files(replace(history, product=product), lambda name: name.partition("_")[0] in wanted)


def _with_files(history: History, kept: Callable[[str], bool]) -> History:
    moments = [
        replace(moment, puts=tuple(put for put in moment.puts if kept(put.name)), gone=tuple(name for name in moment.gone if kept(name)))
        for moment in history.moments
    ]  # fmt: skip
    return replace(history, moments=tuple(moments))


def _smaller(history: History) -> Iterator[History]:
    """Yield histories with something left out, the most first."""
    names = sorted({put.name for moment in history.moments for put in moment.puts})
    for stretch in sorted({"_".join(name.split("_")[:2]) for name in names}):
        if any(not name.startswith(f"{stretch}_") for name in names):
            yield _with_files(history, lambda name, stretch=stretch: not name.startswith(f"{stretch}_"))  # type: ignore[misc]
    for number, moment in enumerate(history.moments):
        for calmer in (
            replace(moment, kill=None), replace(moment, shift_s=0), replace(moment, shift_after=0), replace(moment, backfill=None), replace(moment, numbers={}),
        ):  # fmt: skip
            if calmer != moment:
                yield replace(history, moments=(*history.moments[:number], calmer, *history.moments[number + 1 :]))
    for number in range(len(history.moments) - 1):
        yield replace(history, moments=_together(history.moments, number))
    for product in _plainer(history.product):
        yield replace(history, product=product)
    for stem in sorted({name.rpartition(".")[0].rstrip("r") for name in names}):
        if len(names) > 1:
            yield _with_files(history, lambda name, stem=stem: name.rpartition(".")[0].rstrip("r") != stem)  # type: ignore[misc]
    for number, moment in enumerate(history.moments):
        for place, put in enumerate(moment.puts):
            for row in range(len(put.content.rows)):
                if len(put.content.rows) > 1:
                    shorter = Content((*put.content.rows[:row], *put.content.rows[row + 1 :]), put.content.columns)
                    puts = (*moment.puts[:place], Put(put.source, put.name, shorter), *moment.puts[place + 1 :])
                    yield replace(
                        history, moments=(*history.moments[:number], replace(moment, puts=puts), *history.moments[number + 1 :])
                    )


def _together(moments: tuple[Moment, ...], number: int) -> tuple[Moment, ...]:
    """Return the moments with one and the next made one."""
    first, second = moments[number : number + 2]
    files = {put.name: put for put in first.puts}
    never = {name for name in second.gone if name in files}
    puts = [put for put in first.puts if put.name not in never | {later.name for later in second.puts}]
    both = Moment(
        (*puts, *second.puts), (*first.gone, *(name for name in second.gone if name not in never)), {**first.numbers, **second.numbers},
        second.shift_s, second.shift_after, second.kill, second.backfill,
    )  # fmt: skip
    return (*moments[:number], both, *moments[number + 2 :])


def _plainer(product: Product) -> Iterator[Product]:
    for place, source in enumerate(product.sources):
        for plainer in (replace(source, unique=False), replace(source, between=False)):
            if plainer != source:
                yield replace(product, sources=(*product.sources[:place], plainer, *product.sources[place + 1 :]))
    for place, table in enumerate(product.tables):
        if table.unique:
            yield replace(product, tables=(*product.tables[:place], replace(table, unique=False), *product.tables[place + 1 :]))


def write(history: History, folder: Path, told: str, tables: list[str]) -> None:
    """Write a history as a folder: the product, the files of each moment, and ``replay.sh``, which runs it with the caudal command."""
    product, sources = history.product, {source.name: source for source in history.product.sources}
    lines = [
        "#!/bin/sh", "# Usage: replay.sh WORK   (caudal is the command; WORK must not exist)", *(f"# {line}" for line in told.splitlines()),
        "set -eu", 'here=$(cd "$(dirname "$0")" && pwd); w=$1; mkdir -p "$w/data" "$w/all"',
        'run() { caudal run "$w/drawn" --data "$w/data" --home "$w/home" || true; }', "",
    ]  # fmt: skip
    files = 0
    for number, moment in enumerate(history.moments):
        here = folder / f"{number}"
        (here / "data").mkdir(parents=True)
        product = replace(product, numbers={**product.numbers, **moment.numbers})
        text.write(product, here / "drawn")
        lines += [f"# Moment {number}", f'cp -r "$here/{number}/drawn" "$w"']
        lines += [f'rm "$w/data/{name}"' for name in moment.gone]
        for put in moment.puts:
            files += 1
            (here / "data" / put.name).write_bytes(encoded(put.content, sources[put.source]))
            at = dt.datetime.fromtimestamp(BEGAN_S + files, dt.UTC)
            lines.append(
                f'cp "$here/{number}/data/{put.name}" "$w/data"; cp "$here/{number}/data/{put.name}" "$w/all"; touch -d "{at:%F %T} UTC" "$w/data/{put.name}"'
            )
        clock = f'PYTHONPATH="$here/clock" CLOCK_SHIFT={moment.shift_s} ' if moment.shift_s else ""
        if moment.kill is not None:
            lines.append(f"# Here a run is killed at {moment.kill} (tests/differential/fresh.py:killed_at).")
        lines.append(f'{clock}caudal run "$w/drawn" --data "$w/data" --home "$w/home"' if clock else "run")
        if moment.backfill:
            days = f"--from {moment.backfill[0]} --to {moment.backfill[1]}"
            lines.append(f'{clock}caudal backfill "$w/drawn" {days} --data "$w/data" --home "$w/home" --yes || true')
    lines += [
        "",
        "# A fresh run over everything that came, as it was last",
        'touch -d "2023-01-01" "$w"/all/*',
        'caudal run "$w/drawn" --data "$w/all" --home "$w/fresh"',
    ]
    for table in tables:
        lines += [
            f'for home in home fresh; do caudal export {table} "$w/{table}.$home.csv" --home "$w/$home" >/dev/null; sort -o "$w/{table}.$home.csv" "$w/{table}.$home.csv"; done',
            f'echo "{table}: increments < fresh run >"; diff "$w/{table}.home.csv" "$w/{table}.fresh.csv" && echo the same',
        ]  # fmt: skip
    (folder / "clock").mkdir()
    (folder / "clock" / "sitecustomize.py").write_text(CLOCK)
    script = folder / "replay.sh"
    script.write_text("\n".join(lines) + "\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (folder / "README.md").write_text(
        f"# A history that differs\n\n```\n{told}\n```\n\n`sh replay.sh WORK` plays it with the `caudal` command.\n"
    )
