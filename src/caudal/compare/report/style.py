"""How plots and drawings look: on a page in light or dark after the reader's setting, on paper in light."""

from __future__ import annotations

import re

_LIGHT = {
    "ink": "#1c2430", "soft": "#5b6675", "paper": "#ffffff", "rule": "#dce1e8", "mark": "#2f6f9f", "good": "#26794a", "bad": "#b3232a", "care": "#86640f",
    "shade": "#fbe3c8", "h0": "#2f6f9f", "h1": "#d9822b", "h2": "#3f9a6a", "h3": "#9b5fb0", "h4": "#c24a4a", "h5": "#5f8a8f", "h6": "#b59a2d", "h7": "#9aa5b1",
}  # fmt: skip
_DARK = {
    "shade": "#4a3a22", "h0": "#5aa2d6", "h1": "#e39a4f", "h2": "#58b985", "h3": "#b98acb", "h4": "#dd7474", "h5": "#86b0b5", "h6": "#d0b850", "h7": "#76808d",
}  # fmt: skip
_OWN = ("shade", *(f"h{number}" for number in range(8)))

_PLOT = """
.plot text{font-size:11px;fill:var(--soft)}.plot text.label{font-size:12.5px;font-weight:600;fill:var(--ink)}.plot text.value{font-size:12px;fill:var(--ink)}
.plot text.number{font-size:10px;font-weight:700;fill:var(--paper)}.plot text.small{font-size:11px;fill:var(--soft)}.plot text.halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
.plot line.track{stroke:var(--rule);stroke-width:1}.plot line.spread{stroke:var(--soft);stroke-width:2}.plot line.axis{stroke:var(--soft);stroke-width:1}
.plot line.median{stroke:var(--ink);stroke-width:3}.plot circle.dot{fill:var(--mark);fill-opacity:.75}.plot line.model{stroke:var(--soft);stroke-width:1.5}
.plot circle.fitted{fill:var(--mark)}.plot circle.held_out{fill:var(--paper);stroke:var(--care);stroke-width:2.5}.plot rect.prediction{fill:var(--h3)}
.plot rect.shaded{fill:var(--shade)}.plot line.stem{stroke:var(--soft);stroke-width:1}.plot circle.event{fill:var(--soft)}
.plot circle.fault,.plot circle.executor_lost,.plot circle.task_failed,.plot circle.stage_failed,.plot circle.process_ended{fill:var(--bad)}
.plot circle.recovered,.plot circle.executor_added,.plot circle.process_started{fill:var(--good)}.plot circle.attempt,.plot circle.stage_resubmitted{fill:var(--care)}
.plot rect.box{fill:var(--paper);stroke:var(--soft);stroke-width:1.2}.plot path.edge{fill:none;stroke:var(--soft);stroke-width:1.3}.plot path.tip{fill:var(--soft)}
""" + "".join(f".plot rect.hue{number}{{fill:var(--h{number})}}" for number in range(8))  # fmt: skip

PAGE_STYLE = (
    ":root{" + "".join(f"--{name}:{_LIGHT[name]};" for name in _OWN) + "}"
    "@media (prefers-color-scheme:dark){:root{" + "".join(f"--{name}:{value};" for name, value in _DARK.items()) + "}}"
    + _PLOT
    + """
.compared figure{margin:14px 0}.compared figcaption{font-weight:600;margin:0 0 4px}.compared svg.plot{display:block;overflow:visible}
.compared .findings{list-style:none;padding:0}.compared .findings li{display:grid;grid-template-columns:92px 1fr;gap:12px;padding:7px 0;border-bottom:1px solid var(--rule)}
.compared .findings li:last-child{border-bottom:0}.compared .sure{font-size:12px;font-weight:600;color:var(--idle);padding-top:2px}.compared .sure.shown{color:var(--good)}.compared .sure.likely{color:var(--care)}
.compared .legend{margin:6px 0 10px}.compared .legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 5px 0 0}.compared .legend span{display:inline-block;margin-right:14px}
.compared img{display:block;width:100%;height:auto;border:1px solid var(--rule);border-radius:6px;background:#fff}.compared td{overflow-wrap:anywhere}.compared td.n{white-space:nowrap}
.compared td:first-child{min-width:90px}.compared h3{margin-top:26px}.compared .scroll{margin-top:8px;margin-bottom:14px}.compared .plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:6px 40px}
@media (max-width:600px){.compared .findings li{grid-template-columns:1fr;gap:2px}.compared td.n{white-space:normal}}
@media print{:root{""" + "".join(f"--{name}:{_LIGHT[name]};" for name in _OWN) + "}figure{break-inside:avoid}}"
)  # fmt: skip
PAPER_STYLE = re.sub(r"var\(--(\w+)\)", lambda match: _LIGHT[match[1]], _PLOT)
"""Without variables, which the PDF's drawings do not have."""
PAPER_HUES = [_LIGHT[f"h{number}"] for number in range(8)]
