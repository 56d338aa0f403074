"""A language of the report: its texts, and how it writes numbers, times and sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.compare.report.words import english, spanish
from caudal.errors import DeclarationProblem, nearest
from caudal.report.figures import NONE, duration, number_text, size, time_text

if TYPE_CHECKING:
    from caudal.report.documents.comparison import ConclusionDocument

_TRANSLATED = {"measure": "measure", "part": "part", "state": "state"}
_LAWS = {"amdahl": "Amdahl", "usl": "USL", "size": "T = a + b·s"}


@dataclass(frozen=True)
class ReportLanguage:
    """A language; ``code`` as HTML has it."""

    code: str
    texts: Mapping[str, str]
    comma: bool
    phrases: Mapping[str, str]

    def text(self, key: str, /, **figures: object) -> str:
        """Return a text filled with figures, each written after its name."""
        return self.texts[key].format(**{name: self.figure(name, value) for name, value in figures.items()})

    def word(self, group: str, name: str) -> str:
        """Return the word for a name; the name itself where there is none, as of a measure of another kind of engine."""
        return self.texts.get(f"{group}.{name}", name)

    def phrase(self, text: str) -> str:
        """Return what the document says in English in this language, numbers kept; as it stands where there is no translation."""
        numbers = re.findall(r"\d+", text)
        pattern = re.sub(r"\d+", "#", text)
        if pattern not in self.phrases:
            return text
        words = self.phrases[pattern].split("#")
        return "".join(word + number for word, number in zip(words, [*numbers, ""], strict=True))

    def sentence(self, conclusion: ConclusionDocument) -> str:
        """Return a conclusion as a sentence."""
        return self.text(f"conclusion.{conclusion['key']}", **conclusion["figures"])

    def figure(self, name: str, value: object) -> str:
        """Return a figure as text, after the unit that its name ends with."""
        if value is None:
            return NONE
        if name == "law":
            return _LAWS[str(value)]
        if name == "name":
            return stage_name(str(value))
        if name in _TRANSLATED:
            return self.word(_TRANSLATED[name], str(value))
        if not isinstance(value, int | float):
            return str(value)
        if name == "at":
            return time_text(float(value))
        return self.localized(_with_unit(name, float(value)))

    def localized(self, text: str) -> str:
        """Return a number with this language's decimal sign and thousands."""
        return text.replace(",", "\u202f").replace(".", ",") if self.comma else text


def stage_name(name: str) -> str:
    """Return a stage's name without the folders of the file that it names.

    Examples
    --------
    >>> stage_name("call at /opt/venv/site-packages/py4j/clientserver.py:644")
    'call at clientserver.py:644'
    """
    return re.sub(r"/\S*/", "", name)


def _with_unit(name: str, value: float) -> str:
    if name.endswith("_per_s"):
        return number_text(float(f"{value:.4g}"))
    for ending, factor in (("_ns", 1e-9), ("_ms", 1e-3), ("_s", 1.0)):
        if name.endswith(ending):
            return duration(value * factor)
    if name.endswith("_bytes"):
        return size(round(value))
    if name == "more_share":
        return f"{100 * value:+.0f} %" if abs(value) >= 0.005 else "0 %"
    if name.endswith("_share"):
        return f"{100 * value:.1f} %" if 0 < abs(value) < 0.1 else f"{100 * value:.0f} %"
    if name in ("ratio", "low", "high"):
        return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
    if 0 < abs(value) < 1e-4:
        return f"{value:.2g}"
    return number_text(float(f"{value:.3g}") if value != int(value) else value)


LANGUAGES: Mapping[str, ReportLanguage] = {
    "en": ReportLanguage("en", english.TEXTS, comma=False, phrases={}),
    "es": ReportLanguage("es", spanish.TEXTS, comma=True, phrases=spanish.PHRASES),
}


def check_languages(languages: Sequence[str]) -> None:
    """Raise where a report is not written in a language.

    Raises
    ------
    DeclarationProblem : it is not
    """
    for code in languages:
        if code not in LANGUAGES:
            raise DeclarationProblem(
                f"The report is not written in '{code}'.",
                nearest=nearest(code, LANGUAGES),
                fix=f"Choose from {', '.join(LANGUAGES)}.",
            )
