"""The notebook that does the work of a parcel on Google Colab, and brings the results home."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.compare.notebooks.parcel import Parcel, write_apart
from caudal.engine.cache import put_file
from caudal.inspection.shown import bytes_text

if TYPE_CHECKING:
    from caudal.compare.platform import Platform

NOTEBOOK, ORDERED, DATA = "colab.ipynb", "colab.json", "colab-data.zip"
_PART = 400_000  # characters of the parcel in a cell: editors are slow with longer ones
_LINE = 120

_ABOUT = """\
# `caudal compare` on Google Colab: {product}

This notebook does the work of the product **{product}** on the machine that Colab gives you, measures it, and brings figures, logs and tables home in one file.

**What to do**

1. Choose **Runtime → Run all**.{upload}
2. Leave this tab open. The last cell downloads `{results}`.
3. At home, give that file to the comparison:

```
{command}
```

**What is done:** {work}, on {platforms}{broken}. Each is a process of its own, as at home. If Colab takes its machine away before the end, choose *Run all* again: it begins anew.

**What is in it:** the code of the product, {data}, and caudal {version}. Whoever has this file has them too.{there}{left}"""

_PARCEL = "## 1 · What came along\n\nCode, {data} and the order of work, packed as text in the cells below; there is nothing to read in them."

_UNPACK = '''\
import base64, bz2, hashlib, io, os, pathlib, shutil, subprocess, sys, zipfile

FOLDER = pathlib.Path("caudal-{name}").absolute()
parcel = base64.b64decode("".join(PARCEL))
if hashlib.sha256(parcel).hexdigest() != "{digest}":
    raise SystemExit("What came along is damaged, or not all cells above were run: choose Runtime > Run all.")
shutil.rmtree(FOLDER, ignore_errors=True)
zipfile.ZipFile(io.BytesIO(bz2.decompress(parcel))).extractall(FOLDER)

# What belongs to the notebook's own Python does not hold in the processes that it starts.
NOT_THEIRS = ("MPLBACKEND", "PYTHONHOME", "PIP_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT")
NOT_THEIRS += ("UV_SYSTEM_PYTHON", "UV_PRERELEASE", "PYTHONDONTWRITEBYTECODE")
ENVIRONMENT = {{name: value for name, value in os.environ.items() if name not in NOT_THEIRS}}
ENVIRONMENT |= {{"PYTHONPATH": str(FOLDER / "modules"), "PYTHONUNBUFFERED": "1"}}


def run(*command):
    """Run a command, show what it prints, and return its exit code; it ends when the cell is stopped."""
    process = subprocess.Popen(
        [str(word) for word in command], cwd=FOLDER, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


print("Unpacked in", FOLDER)'''

_UPLOAD_TEXT = """\
## Data: {size} to upload

The data is too large for a notebook. It is in `{file}`, which lies beside this notebook at home. Run the cell and choose that file; or drag it into Colab's *Files* panel first (quicker for large files), and run the cell then."""

_UPLOAD = """\
DATA = pathlib.Path("{file}").absolute()
if not DATA.exists():
    try:
        from google.colab import files
    except ImportError:
        raise SystemExit(f"Put {{DATA.name}} into {{DATA.parent}}, and run this cell again.") from None
    print(f"Choose {{DATA.name}} ({size}):")
    files.upload()
if not DATA.exists():
    raise SystemExit(f"{{DATA.name}} is not here: run this cell again and choose that file.")
with DATA.open("rb") as file:
    if hashlib.file_digest(file, "sha256").hexdigest() != "{digest}":
        raise SystemExit(f"{{DATA.name}} is damaged, or of another comparison: take the one that lies beside this notebook.")
zipfile.ZipFile(DATA).extractall(FOLDER)
print("The data is here.")"""

_INSTALL_TEXT = (
    "## 2 · Install\n\ncaudal{libraries} in an environment of its own, with the versions of the machine at home: a minute or two."
    " Colab's own libraries stay as they are."
)

_INSTALL = """\
PYTHON = FOLDER / "venv" / "bin" / "python"
subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(FOLDER / "venv")], check=True)
(wheel,) = (FOLDER / "wheel").glob("*.whl")
WHAT = [f"caudal[{extras}] @ {{wheel.as_uri()}}"{libraries}]


def install(*options):  # all is compiled now, since the first repetition would wait for it otherwise
    if shutil.which("uv"):
        return run("uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", PYTHON, *options, *WHAT)
    return run(sys.executable, "-m", "pip", "--python", PYTHON, "install", "--quiet", *options, *WHAT)


if install("--constraint", FOLDER / "constraints.txt"):
    print("These versions cannot be had here, so the newest that fit are taken.")
    if install():
        raise SystemExit("caudal could not be installed; the lines above say why.")
print("Installed.")"""

_WORK_TEXT = "## 3 · Do the work\n\nOne line for each repetition: how long the work took, and the whole process. To stop early, stop the cell: what was measured is kept."

_WORK = """\
RESULTS = FOLDER.parent / "{results}"
RESULTS.unlink(missing_ok=True)
try:
    run(PYTHON, "-m", "caudal.compare.notebooks.ordered_work", FOLDER, RESULTS)
except KeyboardInterrupt:
    print("Stopped.")
if not RESULTS.exists():
    raise SystemExit("The work could not be begun; the lines above say why.")"""

_DOWNLOAD_TEXT = "## 4 · Bring it home\n\nThe browser downloads `{results}`; it may ask whether it is allowed to."

_DOWNLOAD = """\
try:
    from google.colab import files
except ImportError:
    print("This is not Colab, so nothing is downloaded. The results are in", RESULTS)
else:
    files.download(str(RESULTS))"""

_NEXT = """\
## 5 · At home

Give the file that was downloaded to the comparison; its report then has Colab as one platform more:

```
{command}
```"""


def write_notebook(folder: Path, parcel: Parcel, platforms: Sequence[Platform]) -> Path:
    """Write the notebook with its parcel into the folder of a comparison, the data beside it where it does not fit in, and the order of work."""
    order = parcel.order
    name = f"{order.product}-{order.code[:4]}{order.data[:4]}"
    results = f"{name}-results.zip"
    command = f"caudal compare {folder / 'comparison.json'} --colab {results}"
    size = bytes_text(parcel.data_bytes)
    data = "no data" if not parcel.data_bytes else f"{size} of data{' (in a file beside it)' if parcel.apart else ''}"
    times = f"{order.repeats} repetition{'s' * (order.repeats != 1)}" + (
        f" after {order.warm_ups} to warm up" if order.warm_ups else ""
    )
    broken = f"; then it is broken on purpose ({', '.join(order.faults)})" if order.faults else ""
    there = f" Read from where they are, so Colab must reach them: {', '.join(parcel.read_there)}." if parcel.read_there else ""
    left = f" Left at home, since they hold secrets: {', '.join(f'`{setting}`' for setting in parcel.left)}." if parcel.left else ""
    upload = f" When a cell asks for it, upload `{DATA}`, which lies beside this notebook." if parcel.apart else ""
    texts = {
        "product": order.product, "results": results, "command": command, "data": data, "version": order.caudal, "there": there, "left": left, "upload": upload,
        "work": f"a {order.workload}, {times}", "broken": broken, "platforms": " and ".join(f"*{each.title.removeprefix('Google Colab, ')}*" for each in platforms),
    }  # fmt: skip
    cells = [_text(_ABOUT.format_map(texts)), _text(_PARCEL.format(data=data)), *_parcel_cells(parcel.content)]
    cells.append(_code(_UNPACK.format(name=name, digest=hashlib.sha256(parcel.content).hexdigest())))
    if parcel.apart:
        digest = write_apart(parcel, folder / DATA)
        cells += [_text(_UPLOAD_TEXT.format(size=size, file=DATA)), _code(_UPLOAD.format(size=size, file=DATA, digest=digest))]
    listed = f", and what the product imports ({', '.join(parcel.libraries)})," if parcel.libraries else ""
    cells += [
        _text(_INSTALL_TEXT.format(libraries=listed)),
        _code(_INSTALL.format(extras=",".join(parcel.extras), libraries="".join(f", {json.dumps(name)}" for name in parcel.libraries))),
        _text(_WORK_TEXT), _code(_WORK.format_map(texts)), _text(_DOWNLOAD_TEXT.format_map(texts)), _code(_DOWNLOAD), _text(_NEXT.format_map(texts)),
    ]  # fmt: skip
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    notebook = {
        "cells": cells, "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"colab": {"name": f"{order.product}.ipynb"}, "kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}},
    }  # fmt: skip
    put_file(folder / ORDERED, order.text().encode())
    return put_file(folder / NOTEBOOK, json.dumps(notebook, indent=1, ensure_ascii=False).encode())


def _parcel_cells(content: bytes) -> list[dict[str, Any]]:
    """Return the cells that hold the parcel as text; Colab shows only their titles."""
    text = base64.b64encode(content).decode()
    parts = [text[begin : begin + _PART] for begin in range(0, len(text), _PART)]
    cells = []
    for number, part in enumerate(parts, start=1):
        begins = "PARCEL = []\n" if number == 1 else ""
        lines = "\n".join(part[begin : begin + _LINE] for begin in range(0, len(part), _LINE))
        source = f'#@title What came along, part {number} of {len(parts)} {{ display-mode: "form" }}\n{begins}PARCEL.append("""\n{lines}\n""")'
        cells.append(_code(source, {"cellView": "form", "jupyter": {"source_hidden": True}}))
    return cells


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _code(source: str, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": dict(metadata or {}), "execution_count": None, "outputs": [], "source": source}
