"""Writing a comparison's report: a page and a PDF in each language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.report.content import Pictures, build_report
from caudal.compare.report.language import LANGUAGES, check_languages
from caudal.compare.report.page import report_page
from caudal.compare.report.pdf import report_pdf
from caudal.engine.cache import put_file
from caudal.report.page_file import write_page

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument


def write_report(
    document: CompareDocument,
    folder: Path,
    languages: Sequence[str] = ("en",),
    screenshots: Pictures | None = None,
    *,
    no_screenshots: str | None = None,
    pdf: bool = True,
) -> list[Path]:
    """Write ``report.LANGUAGE.html`` and ``report.LANGUAGE.pdf``; return their paths.

    Parameters
    ----------
    screenshots : by platform, names of pages of Spark's UI (or titles) and PNG
    no_screenshots : why there are none, as a part of a sentence

    Raises
    ------
    DeclarationProblem : there is no such language
    EnvironmentProblem : ``pdf``, and the library that sets it is not installed; the pages are written
    """
    check_languages(languages)
    reports = [build_report(document, LANGUAGES[code], screenshots, no_screenshots) for code in languages]
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for report in reports:
        written.append(folder / f"report.{report.language}.html")
        write_page(written[-1], report_page(report))
    for report in reports if pdf else ():
        written.append(folder / f"report.{report.language}.pdf")
        put_file(written[-1], report_pdf(report))
    return written
