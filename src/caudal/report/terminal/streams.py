"""The state of streams as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caudal.report.figures import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from caudal.report.documents.streams import ParityDocument


def streams(document: Mapping[str, Any]) -> str:
    """Return the lines that close ``caudal stream``.

    Examples
    --------
    >>> print(streams({"product": "eeg", "seconds": 2.0, "sources": {"samples": {"batches": 3, "samples": 512, "tables": {}}}}))
    eeg: 2.0 s
      samples: 512 samples in 3 micro-batches since its beginning
    """
    lines = [f"{document['product']}: {document['seconds']:.1f} s"]
    for name, source in document["sources"].items():
        lines.append(
            f"  {name}: {source.get('samples', 0):,} samples in {plural(source['batches'], 'micro-batch', 'micro-batches')} since its beginning"
        )
        if unreadable := source.get("unreadable_messages", 0):
            lines.append(f"    {plural(unreadable, 'message')} could not be read: caudal quarantine show {name}")
        if outside := source.get("outside", 0):
            lines.append(f"    {outside:,} samples have a time, number or device that cannot be")
        for table, figures in source["tables"].items():
            lines.append(
                f"    {table}: {figures['readings']:,} readings, {figures['late']:,} samples late, {figures['duplicates']:,} came again, "
                f"{plural(figures['open_windows'], 'window')} open"
            )
    for name, topic in document.get("topics", {}).items():
        aside = f", {topic['set_aside']:,} set aside: caudal quarantine show {name}" if topic["set_aside"] else ""
        count = plural(topic["micro_batches"], "micro-batch", "micro-batches")
        lines.append(f"  {name}: {plural(topic['rows'], 'row')} of topic {topic['topic']} in {count}{aside}")
    for name, outlet in document.get("outlets", {}).items():
        lines.append(f"  {name}: {outlet['sent']:,} rows of {outlet['of']} sent to {outlet['to']}, {outlet['delivery']}")
        if outlet["lost"]:
            lines.append(f"    {outlet['lost']:,} rows were lost on the way")
        if outlet["waiting"]:
            lines.append(f"    {outlet['waiting']:,} rows wait: {outlet['trouble']}")
    for name, join in document.get("joins", {}).items():
        lines.append(
            f"  {name}: {join['rows']:,} rows since its beginning, {join['unmatched']:,} without a match, {join['late']:,} too late"
        )
        if join["waits_for"]:
            lines.append(f"    waits for {join['waits_for']}, of which nothing has been published: caudal run")
    for name, watched in document.get("monitors", {}).items():
        alarms = f"in alarm: {', '.join(watched['alarms'])}" if watched["alarms"] else "no alarm"
        lines.append(f"  monitor {name}: {plural(watched['windows'], 'window')} counted, {alarms}")
        if watched["trouble"]:
            lines.append(f"    not up to date: {watched['trouble']}")
    for name, model in document.get("models", {}).items():
        accuracy = (
            f"{model['accuracy']:.1%} of {model['compared']:,} right" if model["compared"] else "no label to compare with yet"
        )
        lines.append(f"  {name}: version {model['version'] or 'none yet'}, {model['predicted']:,} windows classified, {accuracy}")
        if model["trouble"]:
            lines.append(f"    not done: {model['trouble']}")
    return "\n".join(lines)


def parity_text(document: ParityDocument) -> str:
    """Return the lines that ``caudal parity`` prints."""
    lines = []
    for name, table in document["tables"].items():
        verdict = "equal, row for row" if table["equal"] else "DIFFERENT"
        lines.append(
            f"{name}: {verdict}; {table['rows']:,} rows streamed, {table['rows_of_run']:,} by a run, {table['not_closed_yet']:,} not closed yet"
        )
        if table.get("late"):
            lines.append(f"  {table['late']:,} left rows were given without a match, which came later")
        if not table["equal"]:
            lines.append(
                f"  {table['differing']:,} differ, {table['only_run']:,} only by the run, {table['only_stream']:,} only streamed"
            )
            lines += [
                f"  {example['key']}\n    stream {example['stream']}\n    run    {example['run']}" for example in table["examples"]
            ]
    return "\n".join(lines)
