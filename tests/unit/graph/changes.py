"""Ways of changing a product: what its folder holds, what is replaced in it, and whether table ``t`` is another one after that."""

from __future__ import annotations

from dataclasses import dataclass, field

TOP = """
import caudal as cd
product = cd.Product("p")
product.source("s", cd.files("*.csv"))
"""


@dataclass(frozen=True)
class Edit:
    """A change.

    Parameters
    ----------
    text : of ``product.py``, below the product and its source
    old, new : what is replaced, in every file of the product's folder and beside it
    files : other files by path; ``beside/`` is a folder on ``PYTHONPATH``, ``above.json`` may lie in ``../``
    after : files that are written by the change; None takes one away
    variables : environment variables before and after
    """

    name: str
    text: str
    old: str = "1.19"
    new: str = "1.07"
    files: dict[str, str] = field(default_factory=dict)
    after: dict[str, str | None] = field(default_factory=dict)
    variables: tuple[dict[str, str], dict[str, str]] = ({}, {})


def table(body: str, before: str = "", decorator: str = "@product.table()") -> str:
    """Return a product's text with the table ``t``."""
    return f"{before}\n{decorator}\ndef t(s):\n    return {body}\n"


RATE = {"rates.py": "RATE = 1.19\n"}

CHANGES = [
    Edit("a number in the function", table("s * 1.19")),
    Edit("a constant", table("s * RATE", "RATE = 1.19")),
    Edit("a constant that another is made of", table("s * GROSS", "RATE = 1.19\nGROSS = RATE * 2")),
    Edit("a helper", table("times(s)", "def times(x):\n    return x * 1.19")),
    Edit("a helper of a helper", table("outer(s)", "def inner(x):\n    return x * 1.19\ndef outer(x):\n    return inner(x)")),
    Edit("functools.cache", table("s * rate()", "import functools\n@functools.cache\ndef rate():\n    return 1.19")),
    Edit("functools.lru_cache", table("s * rate()", "from functools import lru_cache\n@lru_cache(maxsize=3)\ndef rate():\n    return 1.19")),
    Edit("a lambda in a dictionary", table('RULES["a"](s)', 'RULES = {"a": lambda x: x * 1.19}')),
    Edit("a lambda in a list", table("RULES[0](s)", "RULES = [lambda x: x * 1.19]")),
    Edit("what a lambda calls", table('RULES["a"](s)', 'import math\nRULES = {"a": lambda x: math.floor(x)}'), "floor", "ceil"),
    Edit("functools.wraps", table("times(s)", "import functools\ndef logged(f):\n    @functools.wraps(f)\n    def inner(*args):\n        return f(*args)\n    return inner\n@logged\ndef times(x):\n    return x * 1.19")),
    Edit("a decorator of one's own", table("s", "def plus(f):\n    def inner(s):\n        return f(s) * 1.19\n    return inner", '@product.table(name="t")\n@plus')),
    Edit("a decorator with wraps", table("s", "import functools\ndef plus(f):\n    @functools.wraps(f)\n    def inner(s):\n        return f(s) * 1.19\n    return inner", "@product.table()\n@plus")),
    Edit("a decorator that is deleted after use", table("times(s)", "def plus(f):\n    f.more = 1\n    return lambda x: f(x) * 1.19\n@plus\ndef times(x):\n    return x\ndel plus")),
    Edit("a decorator's argument", table("times(s)", "def plus(by):\n    def wrap(f):\n        return lambda x: f(x) * by\n    return wrap\n@plus(1.19)\ndef times(x):\n    return x")),
    Edit("a config object", table("s * C.rate", "class Config:\n    def __init__(self, rate):\n        self.rate = rate\nC = Config(1.19)")),
    Edit("a config object with slots", table("s * C.rate", "class Config:\n    __slots__ = ('rate',)\n    def __init__(self, rate):\n        self.rate = rate\nC = Config(1.19)")),
    Edit("a dataclass", table("s * C.rate", "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    rate: float = 1.19\nC = Config()")),
    Edit("a nested config", table('s * C["a"][0].rate', "from types import SimpleNamespace\nC = {'a': [SimpleNamespace(rate=1.19)]}")),
    Edit("a SimpleNamespace", table("s * C.rate", "from types import SimpleNamespace\nC = SimpleNamespace(rate=1.19)")),
    Edit("a namedtuple", table("s * C.rate", "from collections import namedtuple\nConfig = namedtuple('Config', 'rate')\nC = Config(1.19)")),
    Edit("an enum", table("s * Rate.VAT.value", "from enum import Enum\nclass Rate(Enum):\n    VAT = 1.19")),
    Edit("a class attribute", table("s * Rate.VAT", "class Rate:\n    VAT = 1.19")),
    Edit("a class attribute that is set later", table("s * Rate.VAT", "class Rate:\n    VAT = 0\nRate.VAT = 1.19")),
    Edit("an attribute of a function", table("s * rate.by", "def rate():\n    pass\nrate.by = 1.19")),
    Edit("a static method", table("Rate.of(s)", "class Rate:\n    @staticmethod\n    def of(x):\n        return x * 1.19")),
    Edit("a class method", table("Rate.of(s)", "class Rate:\n    @classmethod\n    def of(cls, x):\n        return x * 1.19")),
    Edit("a bound method", table("of(s)", "class Rate:\n    def of(self, x):\n        return x * 1.19\nof = Rate().of")),
    Edit("the object of a bound method", table("of(s)", "class Rate:\n    def __init__(self, by):\n        self.by = by\n    def of(self, x):\n        return x * self.by\nof = Rate(1.19).of")),
    Edit("a property", table("s * Rate().vat", "class Rate:\n    @property\n    def vat(self):\n        return 1.19")),
    Edit("a descriptor", table("s * Rate().vat", "class Fixed:\n    def __get__(self, *_):\n        return 1.19\nclass Rate:\n    vat = Fixed()")),
    Edit("a cached property", table("s * Rate().vat", "from functools import cached_property\nclass Rate:\n    @cached_property\n    def vat(self):\n        return 1.19")),
    Edit("a base class", table("s * Rate().vat()", "class Base:\n    def vat(self):\n        return 1.19\nclass Rate(Base):\n    pass")),
    Edit("a metaclass", table("s * Rate.vat", "class Meta(type):\n    @property\n    def vat(cls):\n        return 1.19\nclass Rate(metaclass=Meta):\n    pass")),
    Edit("a callable object", table("rate(s)", "class Rate:\n    def __call__(self, x):\n        return x * 1.19\nrate = Rate()")),
    Edit("a subclass of dict", table('s * C["a"]', "class Config(dict):\n    pass\nC = Config(a=1.19)")),
    Edit("functools.partial", table("vat(s)", "import functools\ndef times(x, by):\n    return x * by\nvat = functools.partial(times, by=1.19)")),
    Edit("the function of a partial", table("vat(s)", "import functools\ndef times(x, by):\n    return x * by * 1.19\nvat = functools.partial(times, by=2)")),
    Edit("functools.singledispatch", table("f(s)", "import functools\n@functools.singledispatch\ndef f(x):\n    return x\n@f.register\ndef _(x: int):\n    return x * 1.19")),
    Edit("operator.attrgetter", table("get(s)", 'import operator\nget = operator.attrgetter("gross")'), "gross", "net"),
    Edit("a default value", table("times(s)", "RATE = 1.19\ndef times(x, by=RATE):\n    return x * by")),
    Edit("a keyword's default value", table("times(s)", "RATE = 1.19\ndef times(x, *, by=RATE):\n    return x * by")),
    Edit("a closure", table("times(s)", "def make(by):\n    def times(x):\n        return x * by\n    return times\ntimes = make(1.19)")),
    Edit("a nested function", table("times(s)", "def times(x):\n    def inner():\n        return 1.19\n    return x * inner()")),
    Edit("a generator", table("list(times(s))", "def times(x):\n    yield x * 1.19")),
    Edit("a comprehension", table("[x * RATE for x in s]", "RATE = 1.19")),
    Edit("a conditional function", table("f(s)", "NEW = 1.19\nif NEW > 1.1:\n    def f(x):\n        return x\nelse:\n    def f(x):\n        return x")),
    Edit("a registry", table('REGISTRY["times"](s)', "REGISTRY = {}\ndef register(f):\n    REGISTRY[f.__name__] = f\n@register\ndef times(x):\n    return x * 1.19")),
    Edit("a name by globals()", table('globals()["times"](s)', "def times(x):\n    return x * 1.19")),
    Edit("a name by eval", table('eval("times(s)")', "def times(x):\n    return x * 1.19")),
    Edit("code that is made of text", table("f(s)", 'SPACE = {}\nexec("def f(x):\\n    return x * 1.19", SPACE)\nf = SPACE["f"]')),
    Edit("a set", table("s in SET", 'SET = {"a", "b", "x1.19"}')),
    Edit("a compiled pattern", table("P.match(s)", 'import re\nP = re.compile("1.19")')),
    Edit("a date", table("s > D", "import datetime as dt\nD = dt.date(2024, 1, 19)"), "19)", "20)"),
    Edit("a decimal", table("s * D", 'from decimal import Decimal\nD = Decimal("1.19")')),
    Edit("an array", table("s * A", "import numpy as np\nA = np.array([1.0, 1.19])")),
    Edit("a frame of pandas", table("s * A", "import pandas as pd\nA = pd.DataFrame({'a': [1.0, 1.19]})")),
    Edit("an expression that was given to nobody else", table("next(IT)", "IT = (x * 1.19 for x in [1])")),
    Edit("a constant in a UDF", table("tax(s)", "from pyspark.sql import functions as F\nRATE = 1.19\n@F.udf('double')\ndef tax(x):\n    return x * RATE")),
    Edit("a helper in a UDF", table("tax(s)", "from pyspark.sql import functions as F\ndef times(x):\n    return x * 1.19\n@F.udf('double')\ndef tax(x):\n    return times(x)")),
    Edit("the type of a UDF", table("tax(s)", "from pyspark.sql import functions as F\n@F.udf('double')\ndef tax(x):\n    return x"), "'double'", "'float'"),
    Edit("a UDF in the function", "from pyspark.sql import functions as F\n@product.table()\ndef t(s):\n    def tax(x):\n        return x * 1.19\n    return F.udf(tax)(s)\n"),
    Edit("a module", table("s * rates.RATE", "import rates"), files=RATE),
    Edit("a module's name", table("s * RATE", "from rates import RATE"), files=RATE),
    Edit("a module by star", table("s * RATE", "from rates import *"), files=RATE),
    Edit("a module in a module", table("via.times(s)", "import via"), files=RATE | {"via.py": "from rates import RATE\ndef times(x):\n    return x * RATE\n"}),
    Edit("an import in a function", "@product.table()\ndef t(s):\n    from rates import RATE\n    return s * RATE\n", files=RATE),
    Edit("an import in a helper's function", table("via.times(s)", "import via"), files=RATE | {"via.py": "def times(x):\n    import rates\n    return x * rates.RATE\n"}),
    Edit("an import by name", '@product.table()\ndef t(s):\n    import importlib\n    return s * importlib.import_module("rates").RATE\n', files=RATE),
    Edit("an import that loads by name", table("s * R.RATE", 'import importlib\nR = importlib.import_module("ra" + "tes")'), files=RATE),
    Edit("a package", table("s * lib.RATE", "import lib"), files={"lib/__init__.py": "RATE = 1.19\n"}),
    Edit("a package's module", table("s * lib.tax.RATE", "import lib.tax"), files={"lib/__init__.py": "", "lib/tax.py": "RATE = 1.19\n"}),
    Edit("a package's relative import", table("lib.tax.f(s)", "import lib.tax"), files={"lib/__init__.py": "", "lib/tax.py": "from .rates import RATE\ndef f(x):\n    return x * RATE\n", "lib/rates.py": "RATE = 1.19\n"}),
    Edit("a package without __init__", table("s * lib.tax.RATE", "import lib.tax"), files={"lib/tax.py": "RATE = 1.19\n"}),
    Edit("a package's __init__ beside the module", table("lib.tax.f(s)", "import lib.tax"), files={"lib/__init__.py": "RATE = 1.19\n", "lib/tax.py": "import lib\ndef f(x):\n    return x * lib.RATE\n"}),
    Edit("a module on PYTHONPATH", table("s * house.RATE", "import house"), files={"../beside/house.py": "RATE = 1.19\n"}),
    Edit("a package on PYTHONPATH", table("house.deep.f(s)", "import house.deep"), files={"../beside/house/__init__.py": "", "../beside/house/deep.py": "from house.rates import RATE\ndef f(x):\n    return x * RATE\n", "../beside/house/rates.py": "RATE = 1.19\n"}),
    Edit("a module that changes another", table("s * rates.RATE", "import rates, patch"), files=RATE | {"rates.py": "RATE = 2.0\n", "patch.py": "import rates\nrates.RATE = 1.19\n"}),
    Edit("a module that comes to be", table("s * RATE", "try:\n    from local import RATE\nexcept ImportError:\n    RATE = 1.19"), "", "", after={"local.py": "RATE = 1.07\n"}),
    Edit("a module that takes another's place", table("s * house.RATE", "import house"), "", "", files={"../beside/house.py": "RATE = 1.19\n"}, after={"house.py": "RATE = 1.07\n"}),
    Edit("a class in a module", table("s * C.rate", "from conf import C"), files={"conf.py": "class Config:\n    rate = 1.19\nC = Config()\n"}),
    Edit("a decorated function in a module", table("f(s)", "from tools import f"), files={"tools.py": "import functools\n@functools.cache\ndef f(x):\n    return x * 1.19\n"}),
    Edit("a JSON file", table("s * R['a']", "import json\nfrom pathlib import Path\nR = json.loads((Path(__file__).parent / 'r.json').read_text())"), files={"r.json": '{"a": 1.19}'}),
    Edit("a JSON file that a module reads", table("s * conf.R['a']", "import conf"), files={"r.json": '{"a": 1.19}', "conf.py": "import json, pathlib\nR = json.load(open(pathlib.Path(__file__).with_name('r.json')))\n"}),
    Edit("a file in a folder above", table("s * R", "from pathlib import Path\nR = float((Path(__file__).parent.parent / 'rate.txt').read_text())"), files={"../rate.txt": "1.19"}),
    Edit("a TOML file", table("s * R['a']", "import tomllib\nfrom pathlib import Path\nR = tomllib.loads((Path(__file__).parent / 'r.toml').read_text())"), files={"r.toml": "a = 1.19"}),
    Edit("a CSV file by pandas", table("s * R", "import pandas as pd\nfrom pathlib import Path\nR = pd.read_csv(Path(__file__).parent / 'r.csv')"), files={"r.csv": "a\n1.19\n"}),
    Edit("a file that decides without a trace", table("s", "from pathlib import Path\nimport decimal\nif (Path(__file__).parent / 'mode.txt').read_text() == 'fine':\n    decimal.getcontext().prec = 40"), "coarse", "fine", files={"mode.txt": "coarse"}),
    Edit("a file that comes to be", table("s * R", "from pathlib import Path\nP = Path(__file__).parent / 'r.txt'\nR = float(P.read_text()) if P.exists() else 2.0"), "", "", after={"r.txt": "3.0"}),
    Edit("a file that is opened in vain", table("s * R", "try:\n    R = float(open(__file__[:-10] + 'r.txt').read())\nexcept OSError:\n    R = 2.0"), "", "", after={"r.txt": "3.0"}),
    Edit("a file that goes", table("s * R", "from pathlib import Path\nP = Path(__file__).parent / 'r.txt'\nR = float(P.read_text()) if P.exists() else 2.0"), "", "", files={"r.txt": "3.0"}, after={"r.txt": None}),
    Edit("a folder's list", table("s * len(R)", "from pathlib import Path\nR = sorted(path.name for path in (Path(__file__).parent / 'rules').glob('*.txt'))"), "", "", files={"rules/a.txt": ""}, after={"rules/b.txt": ""}),
    Edit("SQL in a file", 'from pathlib import Path\nproduct.sql("t", (Path(__file__).parent / "t.sql").read_text())\n', files={"t.sql": "select 1.19 * x from s"}),
    Edit("SQL", 'product.sql("t", "select 1.19 * x from s")\n'),
    Edit("a variable", table("s * F", 'import os\nF = float(os.environ.get("FEE", "2"))'), "", "", variables=({}, {"FEE": "3"})),
    Edit("a variable that was set before", table("s * F", 'import os\nF = float(os.environ["FEE"])'), "", "", variables=({"FEE": "3"}, {"FEE": "4"})),
    Edit("a variable by getenv", table("s * F", 'import os\nF = float(os.getenv("FEE", "2"))'), "", "", variables=({}, {"FEE": "3"})),
    Edit("a variable that is only asked for", table("s * F", 'import os\nF = 2 if "FEE" in os.environ else 3'), "", "", variables=({}, {"FEE": ""})),
    Edit("all variables", table("s * len(E)", 'import os\nE = {k: v for k, v in os.environ.items() if k.startswith("FEE_")}'), "", "", variables=({}, {"FEE_A": "3"})),
    Edit("a variable that a module reads", table("s * conf.F", "import conf"), "", "", files={"conf.py": 'import os\nF = os.environ.get("FEE")\n'}, variables=({}, {"FEE": "3"})),
    Edit("a variable without a trace", table("s", 'import os, decimal\ndecimal.getcontext().prec = int(os.environ.get("FEE", "28"))'), "", "", variables=({}, {"FEE": "30"})),
    Edit("an option of the table", table("s", decorator='@product.table(event_time="at")'), '"at"', '"on"'),
    Edit("a network's weights", table('cd.embed(s, network="net.onnx")'), files={"net.onnx": "1.19"}),
    Edit("a file that the function names", table('open("rates.txt").read()'), files={"rates.txt": "1.19"}),
    Edit("a table function in another module", "import tables\ntables.declare(product)\n", files={"tables.py": "def declare(product):\n    @product.table()\n    def t(s):\n        return s * 1.19\n"}),
    Edit("what a table in another module reaches", "import tables\ntables.declare(product)\n", files=RATE | {"tables.py": "import rates\ndef declare(product):\n    @product.table()\n    def t(s):\n        return s * rates.RATE\n"}),
]  # fmt: skip

OTHER = "\n@product.table()\ndef other(s):\n    return s * 1.19\n"

NO_CHANGES = [
    Edit("a comment", table("s * 1.19") + "# one\n", "# one", "# two"),
    Edit("a comment in the function", "@product.table()\ndef t(s):\n    # one\n    return s\n", "# one", "# two"),
    Edit("a docstring", '@product.table()\ndef t(s):\n    """One."""\n    return s\n', "One.", "Two."),
    Edit("a helper's docstring", table("f(s)", 'def f(x):\n    """One."""\n    return x'), "One.", "Two."),
    Edit("a docstring that comes to be", table("f(s)", "def f(x):\n    return x"), "def f(x):\n", 'def f(x):\n    """Say."""\n'),
    Edit("a module's docstring", table("rates.f(s)", "import rates"), "One.", "Two.", files={"rates.py": '"""One."""\ndef f(x):\n    return x\n'}),
    Edit("a module's comment", table("rates.f(s)", "import rates"), "# one", "# two", files={"rates.py": "def f(x):\n    return x  # one\n"}),
    Edit("layout", table("f(s,  2)", "def f(x, y):\n    return x + y"), "s,  2", "s, 2"),
    Edit("lines above", table("s"), "@product", "\n\n\n@product"),
    Edit("another table", table("s") + OTHER),
    Edit("another table's helper", table("s") + "\ndef help(x):\n    return x * 1.19\n" + OTHER.replace("s * 1.19", "help(s)")),
    Edit("another table's constant", table("s") + "\nRATE = 1.19\n" + OTHER.replace("1.19", "RATE")),
    Edit("another table's module", table("s", "import rates") + OTHER.replace("1.19", "rates.RATE"), files=RATE),
    Edit("another table that comes to be", table("s") + "# here\n", "# here", OTHER.strip()),
    Edit("an unused function", table("s", "def unused(x):\n    return x * 1.19")),
    Edit("a local name like another function's", table("f(s)", "def f(other):\n    return other") + OTHER),
    Edit("a parameter named like another table", "@product.table()\ndef other(s):\n    return s * 1.19\n@product.table()\ndef t(other):\n    return other\n"),
    Edit("a test", table("s"), files={"tests/test_t.py": "RATE = 1.19\n"}),
    Edit("a file that nobody reads", table("s"), files={"notes.txt": "1.19"}),
    Edit("a module that nobody imports", table("s"), files={"spare.py": "RATE = 1.19\n"}),
    Edit("a module on PYTHONPATH that nobody imports", table("s"), files={"../beside/spare.py": "RATE = 1.19\n"}),
    Edit("a variable that nobody reads", table("s"), "", "", variables=({}, {"FEE": "3"})),
    Edit("a variable of the terminal", table("s * len(E)", 'import os\nE = [k for k in os.environ.items() if k[0].startswith("FEE_")]'), "", "", variables=({"COLUMNS": "80"}, {"COLUMNS": "90"})),
    Edit("a folder's hidden files", table("s * len(R)", "from pathlib import Path\nR = sorted(p.name for p in (Path(__file__).parent / 'rules').glob('*.txt'))"), "", "", files={"rules/a.txt": ""}, after={"rules/.hidden": ""}),
    Edit("the order of a set", table("s in SET", 'SET = {"a", "b", "c"}'), '"a", "b"', '"b", "a"'),
    Edit("how a number is written", table("s * RATE", "RATE = 1.190"), "1.190", "1.19"),
    Edit("the product's description", 'product.description = "1.19"\n' + table("s")),
]  # fmt: skip
