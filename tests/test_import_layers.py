"""Imports point down: the layer table of ``docs/conventions.md``, enforced on the syntax trees.

All imports count: those inside functions and those under ``if TYPE_CHECKING`` too.
"""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sklearn_unlearn

PACKAGE = "sklearn_unlearn"
ROOT = Path(sklearn_unlearn.__file__).parent
SIDE, TOP = -1, 9
NEIGHBOURS = ("influence", "optimizers")  # of one layer, and do not know each other

# One row a room, relative to the package; "" is the package's own __init__.
LAYER_OF = {
    "exceptions": 0,
    "utils": 0,
    "_version": 0,
    "interactions": 1,
    "metrics": SIDE,
    "model_selection": SIDE,
    "datasets": SIDE,
    "preprocessing": SIDE,
    "plotting": SIDE,
    "base": 2,
    "backends": 2,
    "_forget_report": 2,
    "_forget_request": 2,
    "_learn_request": 2,
    "_learning": 2,
    "solvers": 3,
    "certificates": 4,
    "objectives": 5,
    "exact": 5,
    "pruning": 5,
    "influence": 6,
    "optimizers": 6,
    "recommenders": 7,
    "sharding": 8,
    "pipeline": 8,
    "audit": TOP,
    "cli": TOP,
    "benchmarks": TOP,
    "demo": TOP,
    "__main__": TOP,
}
TORCH_ROOM = "backends"
TORCH = ("torch", "array_api_compat")
COMPAT_MODULE = "utils._compat"


def modules_of(root: Path) -> dict[str, Path]:
    """Map the dotted names under the package at ``root`` to their files."""
    modules = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def layer_of(module: str) -> int | None:
    """Return the layer of a module, None for one that the table does not know."""
    if module == "":
        return TOP
    return LAYER_OF.get(module.split(".")[0])


def may_import(importer: str, imported: str) -> bool:
    """Apply the table to one import between two modules of the package."""
    low, high = layer_of(imported), layer_of(importer)
    if low == SIDE:
        return high == SIDE or high >= LAYER_OF["recommenders"]
    if high == SIDE:
        return low in (0, 1)
    rooms = {importer.split(".")[0], imported.split(".")[0]}
    return low <= high and rooms != set(NEIGHBOURS)


def imports_of(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (absolute module, imported name or "", name bound here) of every import in a tree."""
    here = [PACKAGE, *filter(None, module.split("."))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, "", alias.asname or alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            up = node.level - is_package
            base = here[: len(here) - up] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield source, alias.name, alias.asname or alias.name
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value), "", ""


def names_private_sklearn(tree: ast.AST, imports: list[tuple[str, str, str]]) -> bool:
    """Tell whether a tree imports, or reaches by attribute, a private name of scikit-learn."""

    def private(dotted: str) -> bool:
        return any(p.startswith("_") and not p.endswith("__") for p in dotted.split("."))

    from_sklearn = [entry for entry in imports if entry[0].split(".")[0] == "sklearn"]
    bound = {name for _, _, name in from_sklearn}
    reached = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return any(private(f"{source}.{name}") for source, name, _ in from_sklearn) or any(
        chain.split(".")[0] in bound and private(chain.split("(")[0]) for chain in reached
    )


def check(root: Path) -> tuple[list[str], dict[str, set[str]]]:
    """Return the broken rules, one line each, and who imports whom inside the package."""
    problems, graph = [], {}
    modules = modules_of(root)
    for module, path in sorted(modules.items()):
        if layer_of(module) is None:
            problems.append(f"{module}: belongs to no layer")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = list(imports_of(tree, module, path.name == "__init__.py"))
        graph[module] = set()
        for source, name, _ in imports:
            top = source.split(".")[0]
            if top in TORCH and not module.startswith(TORCH_ROOM):
                problems.append(f"{module}: names torch")
            if top == PACKAGE:
                target = source.removeprefix(PACKAGE).removeprefix(".")
                submodule = f"{target}.{name}".lstrip(".")
                graph[module].add(submodule if submodule in modules else target)
        if module != COMPAT_MODULE and names_private_sklearn(tree, imports):
            problems.append(f"{module}: names private scikit-learn")
        for target in sorted(graph[module]):
            if layer_of(target) is not None and not may_import(module, target):
                problems.append(f"{module}: imports {target or PACKAGE}")
    problems.extend(cycles(graph))
    return problems, graph


def cycles(graph: dict[str, set[str]]) -> Iterator[str]:
    """Yield a cycle of modules, or else one of rooms, if there is any."""
    rooms: dict[str, set[str]] = {}
    for module, targets in graph.items():
        room = module.split(".")[0]
        found = {target.split(".")[0] for target in targets} - {room}
        rooms.setdefault(room, set()).update(found)
    for level in (graph, rooms):
        try:
            graphlib.TopologicalSorter(level).prepare()
        except graphlib.CycleError as error:
            yield f"cycle: {' <- '.join(error.args[1])}"
            return


def test_package_keeps_to_the_layers():
    problems, graph = check(ROOT)
    assert problems == []
    assert "" in graph


CLEAN_TREE = {
    "__init__.py": "",
    "__main__.py": "import sklearn_unlearn",
    "exceptions.py": "",
    "interactions.py": "from .exceptions import Error\nfrom .utils import _random",
    "base.py": "from sklearn.base import BaseEstimator\nfrom .interactions import Interactions",
    "pipeline.py": "from .recommenders import Model\nfrom .preprocessing import Encoder",
    "utils/__init__.py": "",
    "utils/_random.py": "import numpy as np\nvalue = np._private",
    "utils/_compat.py": "from sklearn.base import _fit_context",
    "utils/estimator_checks.py": "from ..exceptions import Error",
    "influence/__init__.py": "from ._steps import Unlearner",
    "influence/_steps.py": "from ..objectives import Objective\nfrom ..solvers import newton",
    "backends/__init__.py": "def choose():\n    from ._torch import Torch",
    "backends/_torch.py": "import torch",
    "backends/_base.py": "def f():\n    from array_api_compat import array_namespace",
    "solvers/__init__.py": "from ..backends import choose",
    "certificates/__init__.py": "from ..solvers import lowest",
    "objectives/__init__.py": "from ..certificates import Certificate",
    "optimizers/__init__.py": "from ..solvers import newton",
    "recommenders/__init__.py": "from ..optimizers import newton\nfrom ..influence import Step",
    "metrics/__init__.py": "from ..interactions import Interactions\nimport sklearn.metrics as m",
    "preprocessing/__init__.py": "from sklearn import __version__",
}

# file, its text, the problem it must raise
MUTANTS = {
    "up": ("base.py", "from .recommenders import Model", "base: imports recommenders"),
    "up, absolute": ("base.py", "import sklearn_unlearn.objectives", "base: imports objectives"),
    "up, in a function": (
        "objectives/__init__.py",
        "def f():\n    from ..optimizers import newton",
        "objectives: imports optimizers",
    ),
    "up, by importlib": (
        "base.py",
        "from importlib import import_module\nimport_module('sklearn_unlearn.recommenders')",
        "base: imports recommenders",
    ),
    "up, as a submodule": ("base.py", "from . import pipeline", "base: imports pipeline"),
    "up, by the public surface": (
        "metrics/__init__.py",
        "from .. import Model",
        "metrics: imports sklearn_unlearn",
    ),
    "up, in the else of TYPE_CHECKING": (
        "interactions.py",
        "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    from . import base",
        "interactions: imports base",
    ),
    "up, for types only": (
        "interactions.py",
        "import typing\nif typing.TYPE_CHECKING:\n    from . import base",
        "interactions: imports base",
    ),
    "public checks import a model": (
        "utils/estimator_checks.py",
        "from ..recommenders import Model",
        "utils.estimator_checks: imports recommenders",
    ),
    "solvers import objectives": (
        "solvers/__init__.py",
        "from ..objectives import Objective",
        "solvers: imports objectives",
    ),
    "neighbours": (
        "optimizers/__init__.py",
        "from ..influence import Unlearner",
        "optimizers: imports influence",
    ),
    "neighbours, other way": (
        "influence/_steps.py",
        "from ..optimizers import newton",
        "influence._steps: imports optimizers",
    ),
    "side room to recommenders": (
        "metrics/__init__.py",
        "from ..recommenders import Model",
        "metrics: imports recommenders",
    ),
    "side room to base": (
        "metrics/__init__.py",
        "from ..base import Mixin",
        "metrics: imports base",
    ),
    "low layer to a side room": (
        "objectives/__init__.py",
        "from ..metrics import recall",
        "objectives: imports metrics",
    ),
    "torch": ("objectives/__init__.py", "import torch.nn", "objectives: names torch"),
    "torch, from": ("__init__.py", "from torch import Tensor", ": names torch"),
    "torch, by name": ("base.py", "__import__('torch')", "base: names torch"),
    "torch, in a function next door": (
        "solvers/__init__.py",
        "def f():\n    import torch",
        "solvers: names torch",
    ),
    "torch, by its namespace": (
        "objectives/__init__.py",
        "import array_api_compat.torch as xp",
        "objectives: names torch",
    ),
    "private module": (
        "base.py",
        "from sklearn.utils._tags import Tags",
        "base: names private scikit-learn",
    ),
    "private name": (
        "base.py",
        "from sklearn.base import _fit_context",
        "base: names private scikit-learn",
    ),
    "private import": (
        "base.py",
        "import sklearn.utils._param_validation",
        "base: names private scikit-learn",
    ),
    "private attribute": (
        "base.py",
        "from sklearn import utils as u\nx = u._tags.Tags()",
        "base: names private scikit-learn",
    ),
    "no layer": ("attic/__init__.py", "", "attic: belongs to no layer"),
    "cycle": (
        "exceptions.py",
        "def f():\n    from .utils import _random\n    from .utils._random import g",
        "cycle: exceptions <- utils._random <- exceptions",
    ),
    "cycle, for types only": (
        "exceptions.py",
        "import typing\nif typing.TYPE_CHECKING:\n    from .utils._random import g",
        "cycle: exceptions <- utils._random <- exceptions",
    ),
    "cycle of rooms": (
        "pruning/__init__.py",
        "from ..objectives._base import Base",
        "cycle: objectives <- pruning <- objectives",
    ),
}
# What a mutant needs beside its own file.
BESIDE = {
    "cycle": {"utils/_random.py": "from ..exceptions import Error"},
    "cycle, for types only": {"utils/_random.py": "from ..exceptions import Error"},
    "cycle of rooms": {
        "objectives/_base.py": "",
        "objectives/_pruned.py": "from ..pruning import Pruner",
    },
}


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_clean_tree_passes(tmp_path):
    problems, graph = check(write_tree(tmp_path, CLEAN_TREE))
    assert problems == []
    assert graph["influence._steps"] == {"objectives", "solvers"}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutant_is_caught(tmp_path, mutant):
    name, text, expected = MUTANTS[mutant]
    files = {**CLEAN_TREE, **BESIDE.get(mutant, {}), name: text}
    problems, _ = check(write_tree(tmp_path, files))
    assert expected in problems
    if mutant.startswith("cycle"):
        assert len(problems) == 1


def test_import_is_light():
    code = (
        "import sys, sklearn_unlearn as s; dir(s); "
        "print([m for m in ('torch', 'numba', 'sklearn', 'scipy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sklearn_unlearn.__all__)
def test_public_name_resolves(name):
    assert name in dir(sklearn_unlearn)
    assert getattr(sklearn_unlearn, name) is not None


WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoTorch())
import sklearn_unlearn
for name in sklearn_unlearn.__all__:
    getattr(sklearn_unlearn, name)
sklearn_unlearn.MatrixFactorization()
print("loaded")
"""


def test_every_public_name_loads_without_torch():
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "loaded"), done.stderr


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'sklearn_unlearn' has no attribute 'Nothing'"):
        sklearn_unlearn.__getattr__("Nothing")
