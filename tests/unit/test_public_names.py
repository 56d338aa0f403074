"""What a product writes as ``cd.<name>`` is never hidden by a module: importing ``caudal.<name>`` puts the module in the name's place."""

from __future__ import annotations

import pkgutil

import caudal as cd


def test_no_module_has_the_name_of_what_products_write() -> None:
    modules = {module.name for module in pkgutil.iter_modules(cd.__path__)}
    assert modules & set(dir(cd)) == set()
