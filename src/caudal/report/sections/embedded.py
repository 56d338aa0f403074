"""The sections on embedded images and their components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from caudal.report import images
from caudal.report.section import ReportedRun, ReportSection


class Embedded(ReportSection):
    """A section for each table of this run that was embedded or reduced."""

    name, order = "embedded", 70
    template = """\
{% for table in embedded %}
<section id="embedded-{{ loop.index }}">
<h2>Features {{ table.name }}</h2>
{% if table.network %}<p class="soft">Network <code>{{ table.network }}</code>.{% for sentence in table.plan %} {{ sentence }}{% endfor %}</p>{% endif %}
{% if table.critical %}
<p><strong>Critical at scale.</strong> {{ table.critical }}</p>
<div class="scroll"><table class="chart">
<thead><tr><th>Of the workers' time</th><th></th><th class="n">Time</th><th class="n">Share</th></tr></thead>
<tbody>{% for part in table.parts %}<tr><td class="name">{{ part.part }}</td><td class="draw">{{ part.bar }}</td><td class="n" data-label="Time">{{ part.seconds }}</td><td class="n soft" data-label="Share">{{ part.share }}</td></tr>{% endfor %}</tbody>
</table></div>
{% endif %}
{% if table.pca %}
<p>{{ table.pca }}</p>
{{ table.explained }}
{{ table.scatter }}
{% endif %}
</section>
{% endfor %}
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return the content of each table's section."""
        embedded = images.embedding_sections(run.steps)
        return {"embedded": embedded} if embedded else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return a link to each table's section."""
        embedded = content["embedded"]
        assert isinstance(embedded, list)
        return [(f"embedded-{number}", f"Features {table['name']}") for number, table in enumerate(embedded, start=1)]


SECTION = Embedded()
