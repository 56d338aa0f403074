"""How streams stand, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def streams(told: Mapping[str, Any]) -> str:
    """Return the lines that close ``caudal stream``.

    Examples
    --------
    >>> print(streams({"product": "eeg", "seconds": 2.0, "sources": {"samples": {"batches": 3, "samples": 512, "tables": {}}}}))
    eeg: 2.0 s
      samples: 512 samples in 3 micro-batches since its beginning
    """
    lines = [f"{told['product']}: {told['seconds']:.1f} s"]
    for name, one in told["sources"].items():
        lines.append(f"  {name}: {one.get('samples', 0):,} samples in {one['batches']:,} micro-batches since its beginning")
        if unreadable := one.get("unreadable_messages", 0):
            lines.append(f"    {unreadable:,} messages could not be read: caudal quarantine show {name}")
        if outside := one.get("outside", 0):
            lines.append(f"    {outside:,} samples have a time, number or device that cannot be")
        for table, figures in one["tables"].items():
            lines.append(
                f"    {table}: {figures['readings']:,} readings, {figures['late']:,} samples late, {figures['duplicates']:,} came again, "
                f"{figures['open_windows']} windows open"
            )
    for name, one in told.get("outlets", {}).items():
        lines.append(f"  {name}: {one['sent']:,} rows of {one['of']} sent to {one['to']}, {one['delivery']}")
        if one["lost"]:
            lines.append(f"    {one['lost']:,} rows were lost on the way")
        if one["waiting"]:
            lines.append(f"    {one['waiting']:,} rows wait: {one['trouble']}")
    for name, one in told.get("joins", {}).items():
        lines.append(
            f"  {name}: {one['rows']:,} rows since its beginning, {one['unmatched']:,} without a match, {one['late']:,} too late"
        )
        if one["waits_for"]:
            lines.append(f"    waits for {one['waits_for']}, of which nothing has been published: caudal run")
    for name, one in told.get("models", {}).items():
        shown = f"{one['accuracy']:.1%} of {one['compared']:,} right" if one["compared"] else "no label to compare with yet"
        lines.append(f"  {name}: version {one['version'] or 'none yet'}, {one['predicted']:,} windows classified, {shown}")
        if one["trouble"]:
            lines.append(f"    not done: {one['trouble']}")
    return "\n".join(lines)


def parity(told: Mapping[str, Any]) -> str:
    """Return the lines that ``caudal parity`` prints."""
    lines = []
    for name, one in told["tables"].items():
        said = "equal, row for row" if one["equal"] else "DIFFERENT"
        lines.append(
            f"{name}: {said}; {one['rows']:,} rows streamed, {one['rows_of_run']:,} by a run, {one['not_closed_yet']:,} not closed yet"
        )
        if one.get("late"):
            lines.append(f"  {one['late']:,} left rows were given without a match, which came later")
        if not one["equal"]:
            lines.append(
                f"  {one['differing']:,} differ, {one['only_run']:,} only by the run, {one['only_stream']:,} only streamed"
            )
            lines += [
                f"  {example['key']}\n    stream {example['stream']}\n    run    {example['run']}" for example in one["examples"]
            ]
    return "\n".join(lines)
