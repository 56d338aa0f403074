"""The sections on models: candidates, gates and decisions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from caudal.declarations.metrics import METRICS
from caudal.graph.registered import steps_where
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import candidates, decisions, model_versions, runs, steps
from caudal.ledger.rows import CandidateRow, EffectDocument, LaterDocument, RuleDocument, RunRow, StepDetail, StepRow
from caudal.ledger.selection import compared_groups, compared_rules, input_effects, later_scores
from caudal.ledger.trials import DONE
from caudal.report import charts
from caudal.report.document import detail_of, rows_learned
from caudal.report.figures import duration, held_out_score, places_of, score_text, value
from caudal.report.run_document import ModelDocument, RunDocument
from caudal.report.section import RecordedRun, ReportedRun, ReportSection, TerminalPart
from caudal.report.step_words import step_note

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BAR = 24
MAX_INPUTS = 15
# Metrics in the unit of the label; all others have no unit.
DISTANCES = ("mae", "rmse", "medae", "max_error")


class ModelsSection(ReportSection):
    """A section for each model of the run."""

    name, order = "models", 80
    template = """\
{% for model in models %}
<section id="model-{{ loop.index }}">
<h2>Model {{ model.name }}</h2>
{% if model.decision %}
<p>{{ badge("failed" if model.decision == "refused" else "succeeded", model.decision) }} version {{ model.version }}{% if model.replaced is not none %}, instead of version {{ model.replaced }}{% endif %}{% if model.decision == "refused" and model.in_production is not none %}; version {{ model.in_production }} stays in production{% endif %}</p>
{% elif model.in_production is not none %}
<p>Version {{ model.in_production }} is in production; this run decided nothing.{% if model.why %} Not trained: {{ model.why }}.{% endif %}</p>
{% elif model.why %}
<p class="soft">Not trained: {{ model.why }}.</p>
{% endif %}
{% if model.candidates %}
{% if not model.here and model.trained_in %}<p class="soft">Not trained in this run. The scores are of run <code>{{ model.trained_in }}</code>.</p>{% endif %}
<div class="scroll"><table class="chart scores">
<thead><tr><th>Candidate</th><th class="n">{{ model.metric }}{% if model.unit %}, {{ model.unit }}{% endif %}</th><th>Mean and spread over folds{% if model.better %}; {{ model.better }} is better{% endif %}</th><th class="n">Time</th><th></th></tr></thead>
<tbody>
{% for candidate in model.candidates %}
<tr><td class="name mono" title="{{ candidate.candidate }}">{{ candidate.candidate }}</td><td class="n" data-label="{{ model.metric }}">{{ candidate.score_text }}</td><td class="draw">{% if candidate.error %}<span class="soft">Could not be fitted: {{ candidate.error }}</span>{% else %}{{ candidate.chart }}{% endif %}</td><td class="n soft" data-label="Time">{{ candidate.seconds }}</td><td>{% if candidate.chosen %}{{ badge("succeeded", "chosen") }}{% elif candidate.baseline %}{{ badge("skipped", "baseline") }}{% endif %}</td></tr>
{% endfor %}
{% if model.axis %}<tr><td></td><td></td><td class="draw">{{ model.axis }}</td><td></td><td></td></tr>{% endif %}
</tbody></table></div>
{% endif %}
{% if model.here and model.trained_because %}<p>Trained because {{ model.trained_because }}.</p>{% endif %}
{% if model.holdout_score %}<p>Never trained on: <strong>{{ model.holdout_score }}</strong></p>{% endif %}
{% if model.rule or model.learned %}
<p class="soft">{% if model.rule %}Chosen by this rule: {{ model.rule.rstrip('.') }}.{% endif %}{% if model.learned %} Trained on {{ model.learned }}.{% endif %}</p>
{% endif %}
{% if model.later_text %}<p>{{ model.later_text }}</p>{% endif %}
{% if model.rules %}
<h3>Rules by what came later</h3>
<p class="soft">What each rule would have chosen for a test stretch from the stretches before it, and by how much that was worse than the best candidate there.</p>
<div class="scroll"><table>
<thead><tr><th>Rule</th><th class="n">Mean regret{% if model.unit %}, {{ model.unit }}{% endif %}</th><th class="n">Greatest</th><th class="n">Choices</th><th>Chooses now</th><th></th></tr></thead>
<tbody>{% for rule in model.rules %}<tr><td class="mono">{{ rule.rule }}</td><td class="n" data-label="Mean regret">{{ rule.regret_text }}</td><td class="n" data-label="Greatest">{{ rule.worst_text }}</td><td class="n" data-label="Choices">{{ rule.decisions }}</td><td class="mono" data-label="Chooses now">{{ rule.now }}</td><td>{% if rule.declared %}{{ badge("succeeded", "declared") }}{% endif %}</td></tr>{% endfor %}</tbody></table></div>
{% endif %}
{% if model.groups %}
<h3>Candidates by class</h3>
<div class="scroll"><table>
<thead><tr><th>Class</th><th>Candidates</th><th class="n">Best mean</th><th class="n">Worst mean</th><th class="n">Best of all in</th></tr></thead>
<tbody>{% for group in model.groups %}<tr><td class="mono" title="{{ group.group }}">{{ group.group.rpartition(".")[2] }}</td><td class="mono" data-label="Candidates">{{ group.candidates | join(", ") }}</td><td class="n" data-label="Best mean">{{ group.best_text }}</td><td class="n" data-label="Worst mean">{{ group.worst_text }}</td><td class="n" data-label="Best of all in">{{ group.best_in }} of {{ group.folds }} folds</td></tr>{% endfor %}</tbody></table></div>
{% endif %}
{% if model.inputs %}
<h3>What it goes by</h3>
<p class="soft">By how much {{ model.metric }} is worse where an input's values are shuffled among {{ "{:,}".format(model.inputs[0].rows) }} test rows of the newest stretch; and the mean prediction where it has one value in all rows.</p>
<div class="scroll"><table class="chart scores">
<thead><tr><th>Input</th><th class="n">Importance</th><th></th><th>Prediction by its value</th></tr></thead>
<tbody>{% for input in model.inputs %}<tr><td class="name mono" title="{{ input.input }}">{{ input.input }}</td><td class="n" data-label="Importance">{{ input.importance_text }}</td><td class="draw">{{ input.bar }}</td><td class="draw">{{ input.curve }}{% if input.range %}<span class="soft">{{ input.range }}</span>{% endif %}</td></tr>{% endfor %}</tbody></table></div>
{% if model.inputs_left_out %}<p class="soft">{{ model.inputs_left_out }} more inputs matter less.</p>{% endif %}
{% endif %}
{% if model.gates %}
<h3>Gates</h3>
<ul class="gates">{% for gate in model.gates %}<li>{{ badge("succeeded" if gate.passed else "failed", "passed" if gate.passed else "not passed") }} <span><code>{{ gate.gate }}</code> {{ gate.result }}</span></li>{% endfor %}</ul>
{% endif %}
</section>
{% endfor %}
"""

    def document(self, record: RecordedRun) -> dict[str, ModelDocument]:
        """Return each model's candidates and decision."""
        return {name: _model(record, name) for name in _models(record.steps)}

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return each model with its charts."""
        models = [model_section(name, model, run.steps) for name, model in run.document["models"].items()]
        return {"models": models} if models else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return a link to each model."""
        models = content["models"]
        assert isinstance(models, list)
        return [(f"model-{number}", f"Model {model['name']}") for number, model in enumerate(models, start=1)]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield each model that was trained or promoted."""
        for name, model in document["models"].items():
            if _has_worked(document, name):
                yield _lines(name, model)


def _models(run_steps: Sequence[StepRow]) -> list[str]:
    return list(dict.fromkeys(row["name"] for row in run_steps if row["kind"] in steps_where(section="models")))


def _model(record: RecordedRun, name: str) -> ModelDocument:
    """Return a model's candidates and decision; where nothing was trained, those of its last successful training."""
    ledger, run, product = record.ledger, record.run, record.run["product"]
    train, promote = record.step("train", name), record.step("promote", name)
    trained = train
    if train is None or train["state"] != "succeeded":
        earlier = ledger.find(steps, product=product, step=f"train:{name}", state="succeeded", newest=True)
        trained = next((row for row in earlier if train is None or row["id"] < train["id"]), None)
    rows = ledger.find(candidates, product=product, model=name, run_id=trained["run_id"]) if trained else []
    version = (
        next(iter(ledger.find(model_versions, product=product, model=name, run_id=trained["run_id"])), None) if trained else None
    )
    decision = next(iter(ledger.find(decisions, product=product, model=name, run_id=run["run_id"], newest=True)), None)
    metric = rows[0]["metric"] if rows else None
    unit = ((version["signature"].get("output") or {}).get("unit")) if version and metric in DISTANCES else None
    promote_detail, train_detail = detail_of(promote), detail_of(trained)
    return {
        "candidates": [
            {
                "candidate": row["candidate"], "score": row["score"], "spread": row["spread"], "chosen": row["chosen"],
                "baseline": row["baseline"], "seconds": row["seconds"], "error": row["error"],
            }
            for row in sorted(rows, key=lambda row: _rank(row, _better(metric)))
        ],
        "metric": metric,
        "better": _better(metric),
        "unit": unit,
        "rule": train_detail.get("rule") or (version["rule"] if version else None),
        "decision": decision["decision"] if decision else promote_detail.get("decision"),
        "version": decision["version"] if decision else (version["version"] if version else None),
        "replaced": decision["replaced"] if decision else None,
        "in_production": _in_production(ledger, run, name),
        "gates": list(decision["gates"] if decision else promote_detail.get("gates", ())),
        "trained_in": trained["run_id"] if trained else None,
        "holdout": version["holdout"] if version else None,
        "rows": {"rows": train_detail.get("rows"), "unlabelled": train_detail.get("unlabelled"), "older": train_detail.get("older")} if trained else None,
        "rules": compared_rules(ledger, product, name, trained["run_id"]) if trained else [],
        "groups": compared_groups(ledger, product, name, trained["run_id"]) if trained else [],
        "inputs": input_effects(ledger, product, name, trained["run_id"]) if trained else [],
        "later": next(iter(later_scores(ledger, product, name, run_id=trained["run_id"])), None) if trained else None,
        "trained_because": version["cause"]["why"] if version and version["cause"] is not None else None,
    }  # fmt: skip


def _in_production(ledger: Ledger, run: RunRow, model: str) -> int | None:
    """Return the version in production when the run ended."""
    until = math.inf if run["finished_at"] is None else run["finished_at"]
    made_decisions = ledger.find(decisions, product=run["product"], model=model, decision=["promoted", "rolled back"], newest=True)
    order = {row["run_id"]: row["seq"] for row in ledger.find(runs, product=run["product"])} if made_decisions else {}
    for row in made_decisions:  # a run's decision is ordered by the run's number; a manual one only by its time
        if order[row["run_id"]] <= run["seq"] if row["run_id"] in order else row["at"] <= until:
            return int(row["version"])
    return None


def _better(metric: str | None) -> str | None:
    """Return whether lower or higher values of a metric are better; None for an unknown metric."""
    return next((better[metric] for better in METRICS.values() if metric in better), None) if metric else None


def _rank(row: CandidateRow, better: str | None) -> float:
    """Return the sort key that puts the best candidate first and those without a score last."""
    if row["score"] is None or not math.isfinite(row["score"]):
        return math.inf
    return -float(row["score"]) if better == "higher" else float(row["score"])


def model_section(name: str, model: ModelDocument, run_steps: Sequence[StepRow]) -> dict[str, object]:
    """Return a model's candidates with their charts, its gates and its decision."""
    scale = charts.Scale.of(model["candidates"])
    baseline = next((candidate["score"] for candidate in model["candidates"] if candidate["baseline"]), None)
    places = places_of(model["candidates"])
    candidate_lines = []
    for candidate in model["candidates"]:
        mean_and_spread = score_text(candidate["score"], candidate["spread"], places)
        chart = charts.whisker(scale, candidate, baseline, f"{candidate['candidate']}: {mean_and_spread}") if scale else ""
        candidate_lines.append(
            {**candidate, "score_text": mean_and_spread, "seconds": duration(candidate["seconds"]), "chart": chart}
        )
    train = next((row for row in run_steps if row["step"] == f"train:{name}"), None)
    learned = detail_of(train)
    return {
        **model,
        "name": name,
        "candidates": candidate_lines,
        "axis": charts.axis(scale) if scale else "",
        "why": step_note(train) if train is not None and (train["state"] == "skipped" or not candidate_lines) else None,
        "here": train is not None and train["state"] == "succeeded",
        "holdout_score": held_out_score(model.get("holdout")),
        "learned": _learned(learned) if learned.get("rows") else None,
        "rules": [
            {**rule, "regret_text": f"{rule['regret']:.4g}", "worst_text": f"{rule['worst']:.4g}"}
            for rule in model.get("rules") or ()
        ],
        "groups": [
            {**group, "best_text": f"{group['best']:.4g}", "worst_text": f"{group['worst']:.4g}"}
            for group in model.get("groups") or ()
        ],
        "later_text": _later_text(later) if (later := model.get("later")) else None,
        "inputs": _effects(model.get("inputs") or []),
        "inputs_left_out": max(0, len(model.get("inputs") or ()) - MAX_INPUTS),
        "gates": [{**gate, "result": gate.get("message") or value(gate.get("figures"))} for gate in model["gates"]],
    }


def _later_text(later: LaterDocument) -> str:
    """Return the estimate of an earlier version beside its score on the rows that came after, in a sentence."""
    estimate = "" if later["estimate"] is None else f", {later['estimate']:.4g} by its estimate when it was trained"
    return f"Version {later['version']} on the {later['rows']:,} rows that came after its training: {later['metric']} {later['score']:.4g}{estimate}."


def _effects(effects: Sequence[EffectDocument]) -> list[dict[str, object]]:
    """Return the inputs that matter most, with their charts."""
    greatest = max((effect["importance"] for effect in effects), default=0.0)
    # As many places for all as the greatest has for three digits.
    places = max(0, 2 - math.floor(math.log10(greatest))) if greatest > 0 else 3
    lines: list[dict[str, object]] = []
    for effect in effects[:MAX_INPUTS]:
        importance = f"{effect['importance'] + 0.0:.{places}f} ± {effect['spread']:.{places}f}"
        share = max(effect["importance"], 0.0) / greatest if greatest > 0 else 0.0
        line = {
            **effect,
            "importance_text": importance,
            "bar": charts.bar(0, share, "other", f"{effect['input']}: {importance}"),
            "curve": "",
            "range": "",
        }
        if effect["values"] and effect["predictions"]:
            output, heights = next(iter(effect["predictions"].items()))
            first, last = effect["values"][0], effect["values"][-1]
            of = "" if output == "prediction" else f"{output}: "
            line["range"] = f"{of}{value(first)} to {value(last)}, {min(heights):.3g} to {max(heights):.3g}"
            line["curve"] = charts.curve(heights, f"{effect['input']}, {line['range']}")
        lines.append(line)
    return lines


def _learned(detail: StepDetail) -> str:
    rows, _, rest = rows_learned(detail).removeprefix("learned from ").partition("; ")
    span = f", {detail['from']} to {detail['until']}" if detail.get("from") and detail.get("until") else ""
    return f"{rows}{span}" + (f"; {rest}" if rest else "")


def _lines(name: str, model: ModelDocument) -> TerminalPart:
    from rich.text import Text

    from caudal.report.terminal.console import inset, mark
    from caudal.report.terminal.tables import gates

    better = f", {model['better']} is better" if model.get("better") else ""
    unit = f" in {model['unit']}" if model.get("unit") else ""
    lines: list[RenderableType] = []
    if model["candidates"]:
        lines.append(inset(_candidates(model)))
    if cause := model.get("trained_because"):
        lines.append(inset(Text(f"Trained because {cause}.")))
    if rule := model.get("rule"):
        lines.append(inset(Text(rule, style="bright_black")))
    if later := model.get("later"):
        lines.append(inset(Text(_later_text(later), style="bright_black")))
    rules = model.get("rules") or []
    if any(rule["declared"] and rule["rule"] != "best_mean" for rule in rules):
        lines.append(inset(Text(_rules_line(rules), style="bright_black")))
    if (learned := model.get("rows")) and learned["rows"]:
        lines.append(inset(Text(_sentence(rows_learned(learned)), style="bright_black")))
    if held_out := held_out_score(model.get("holdout")):
        lines.append(inset(Text(f"Never trained on: {held_out}")))
    if model.get("decision"):
        promoted = model["decision"] != "refused"
        instead = f", instead of version {model['replaced']}" if model.get("replaced") is not None else ""
        if not promoted:
            now = model.get("in_production")
            instead = f"; version {now} stays in production" if now is not None else "; none is in production"
        lines.append(
            inset(
                Text.assemble(
                    mark("succeeded" if promoted else "refused"),
                    f" version {model['version']} {DONE.get(str(model['decision']), model['decision'])}{instead}",
                )
            )
        )
    if model.get("gates"):
        lines.append(inset(gates(model["gates"]), 4))
    return TerminalPart(
        f"Model {name}", lines, f"{model['metric']}{unit}, mean ± spread over folds{better}" if model["metric"] else ""
    )


def _rules_line(rules: Sequence[RuleDocument]) -> str:
    """Return how the declared rule did beside the best one, in one sentence."""
    declared, best = next(rule for rule in rules if rule["declared"]), rules[0]
    choices = f"{declared['decisions']} choice{'' if declared['decisions'] == 1 else 's'} made from earlier folds alone"
    least = "the least of all rules" if declared["regret"] <= best["regret"] else f"{best['rule']} {best['regret']:.4g}"
    return f"Regret of {declared['rule']} in {choices}: {declared['regret']:.4g}, {least}."


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _candidates(model: ModelDocument) -> Table:
    from rich.text import Text

    from caudal.report.terminal.console import grid

    rows = grid("left", "left", "right", "left", "fill")
    places = places_of(model["candidates"])
    highest = max((candidate["score"] for candidate in model["candidates"] if candidate["score"] is not None), default=0) or 1
    for candidate in model["candidates"]:
        note = "chosen" if candidate["chosen"] else "baseline" if candidate["baseline"] else ""
        style = "bold green" if candidate["chosen"] else "bright_black" if candidate["baseline"] else ""
        bar = "" if candidate["score"] is None or highest <= 0 else "━" * max(round(BAR * max(candidate["score"], 0) / highest), 1)
        remark = (
            Text(f"could not be fitted: {candidate['error']}", style="red") if candidate.get("error") else Text(note, style=style)
        )
        rows.add_row(
            Text("●" if candidate["chosen"] else "○", style=style),
            Text(candidate["candidate"], style=style),
            Text(score_text(candidate["score"], candidate["spread"], places), style=style),
            Text(bar, style="green" if candidate["chosen"] else "bright_black"),
            remark,
        )
    return rows


def _has_worked(document: RunDocument, model: str) -> bool:
    """Return whether the model was trained or promoted in this run; others are left out of the summary."""
    return any(
        step["step"] in (f"train:{model}", f"promote:{model}") and step["state"] == "succeeded" for step in document["steps"]
    )


SECTION = ModelsSection()
