"""A product on an H2 database, its driver named by the user: ``python jdbc_elsewhere.py FOLDER LAKE`` prints what came of it, as JSON."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

DRIVER = "com.h2database:h2:2.3.232"
PRODUCT = """
import caudal as cd

URL = "jdbc:h2:URL;USER=sa;PASSWORD=hunter2"
product = cd.Product("shop")
product.source("sales", cd.database(URL, table="sale", watermark="AT", overlap="1 hour", key="ID", parallel=2, driver="DRIVER"))
product.source("shops", cd.database(URL, query="SELECT name, opens FROM shop", key="NAME", driver="drivers/h2.jar"))
"""
FIRST = (
    "CREATE TABLE sale (id INT PRIMARY KEY, what VARCHAR(20), cost DECIMAL(6,2), at TIMESTAMP)",
    "CREATE TABLE shop (name VARCHAR(20), opens TIME)",
    "INSERT INTO sale VALUES (1, 'a', 12.5, '2024-03-31 02:30:00'), (2, 'b', NULL, NULL)",
    "INSERT INTO shop VALUES ('north', '10:00')",
)
SECOND = (
    "UPDATE sale SET what = 'A', at = '2024-04-01' WHERE id = 1",
    "INSERT INTO sale VALUES (3, 'c', 1, '2024-03-31 02:59:59')",
)


def main(folder: Path, lake: str) -> dict[str, Any]:
    """Run, run again, and run when the database has changed."""
    from caudal.batch.batch import run
    from caudal.declarations.settings import settings
    from caudal.engine import connectors
    from caudal.graph.load import load
    from caudal.runtime.run_spark import database_connectors
    from caudal.storage.place import place

    product, home = folder / "product", folder / "home"
    (product / "drivers").mkdir(parents=True)
    (jar,) = connectors.jars({DRIVER})
    shutil.copy(jar, product / "drivers" / "h2.jar")
    (product / "product.py").write_text(PRODUCT.replace("URL;", f"{folder / 'shop'};").replace("DRIVER", DRIVER))
    set_to = settings(environment={}, home=home, lake=lake, cores=2, memory="1g")
    assert database_connectors(load(product)) == {DRIVER, str(product / "drivers" / "h2.jar")}

    changed(folder, FIRST)
    first = run(product, set_to)
    assert first.error is None, first.error
    said: dict[str, Any] = {"first": {"sales": rows(set_to, "sales"), "shops": rows(set_to, "shops")}}
    said["again"] = sorted({one["state"] for one in run(product, set_to).document["steps"]})
    changed(folder, SECOND)
    second = run(product, set_to)
    assert second.error is None, second.error
    said["second"] = {"sales": rows(set_to, "sales")}
    said["left"] = [str(one) for one in (place(lake) / "fetched").rglob("*")]
    for file in home.rglob("*"):
        assert not file.is_file() or b"hunter2" not in file.read_bytes(), file
    return said


def changed(folder: Path, statements: tuple[str, ...]) -> None:
    """Change the database, by a Java process of its own."""
    import subprocess

    from caudal.engine import connectors
    from caudal.engine.java import java_home

    (jar,) = connectors.jars({DRIVER})
    command = [
        str(java_home().java), "-cp", str(jar), "org.h2.tools.Shell", "-url", f"jdbc:h2:{folder / 'shop'}", "-user", "sa", "-password", "hunter2",
        "-sql", ";".join(statements),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def rows(set_to: Any, name: str) -> list[list[Any]]:
    """Return a table's rows, as text where JSON has no type."""
    from caudal.runtime.opening import open_home
    from caudal.storage import delta
    from caudal.tables.frames import arrow

    found = arrow(delta.read_version(open_home(set_to).table("shop", name))).to_pylist()
    values = [[one for name, one in row.items() if not name.startswith("_")] for row in found]
    return sorted([one if one is None or isinstance(one, int) else str(one) for one in row] for row in values)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
