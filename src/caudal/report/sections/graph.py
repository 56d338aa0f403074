"""The section with the product's graph and the state of each node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from caudal.graph.draw import as_svg
from caudal.report.section import ReportedRun, ReportSection
from caudal.report.view import node_states


class GraphDrawing(ReportSection):
    """The drawn graph."""

    name, order = "graph", 30
    template = """\
<section id="graph">
<h2>Graph</h2>
<div class="drawing" tabindex="0" role="group" aria-label="Graph, can be scrolled">{{ graph }}</div>
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object]:
        """Return the drawing."""
        return {"graph": Markup(as_svg(run.graph, node_states(run.graph, run.steps, run.document)))}  # noqa: S704 as_svg escapes its texts

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the drawing."""
        return [("graph", "Graph")]


SECTION = GraphDrawing()
