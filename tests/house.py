"""Figures of the structure: how many files one request enters, and what decides by class.

``python -m tests.house`` prints them; a test holds them.
"""

import ast
import copy
import dataclasses
import importlib
import pkgutil
import sys
from pathlib import Path

import sklearn_unlearn
from sklearn_unlearn import ALS, BPR, EASE, LightGCN, MatrixFactorization, objectives
from sklearn_unlearn.datasets import make_interactions
from tests.test_import_layers import LAYER_OF, check

ROOT = Path(sklearn_unlearn.__file__).parent
SHAPE = {"n_users": 120, "n_items": 90, "n_interactions": 1500, "random_state": 0}
MODELS = {
    "MatrixFactorization": (MatrixFactorization(8, regularization=2.0, random_state=0), "label"),
    "ALS": (ALS(8, regularization=20.0, random_state=0), "implicit"),
    "BPR": (BPR(8, regularization=2.0, random_state=0), "implicit"),
    "LightGCN": (LightGCN(8, n_layers=2, regularization=0.5, random_state=0), "implicit"),
    "EASE": (EASE(), "implicit"),
}

CLASS_TESTS = "isinstance", "issubclass"
ROOMS = ("solvers", "certificates", "objectives", "influence", "optimizers", "recommenders")


def files_entered(name):
    """Files of the package in which a function runs while one user is forgotten."""
    model, feedback = MODELS[name]
    model = copy.deepcopy(model).fit(make_interactions(feedback=feedback, **SHAPE))
    copy.deepcopy(model).forget(users=[8])  # compiles what is compiled
    files = set()

    def enter(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT):
            files.add(path.relative_to(ROOT).as_posix())

    sys.setprofile(enter)
    try:
        model.forget(users=[7])
    finally:
        sys.setprofile(None)
    return files


def result_classes():
    """Names of the dataclasses that carry the table of a request from stage to stage."""
    found = set()
    for room in ROOMS:
        package = importlib.import_module(f"sklearn_unlearn.{room}")
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for one in vars(importlib.import_module(info.name)).values():
                if isinstance(one, type) and dataclasses.is_dataclass(one):
                    fields = {field.name for field in dataclasses.fields(one)}
                    if "theta" in fields and "positions" not in fields:  # not the question
                        found.add(one.__name__)
    return found


def decisions_by_class():
    """Places above `objectives` that ask for the class of an objective."""
    classes = {name for name in objectives.__all__ if isinstance(getattr(objectives, name), type)}
    found = set()
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if LAYER_OF.get(room, 0) <= LAYER_OF["objectives"]:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "isinstance",
                "issubclass",
            ):
                names = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                if names & classes:
                    found.add(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def figures():
    """All figures by name."""
    problems, _ = check(ROOT)
    return {
        **{f"files that {name}.forget enters": len(files_entered(name)) for name in MODELS},
        "classes that carry a result": len(result_classes()),
        "decisions by the class of an objective": len(decisions_by_class()),
        "circles": sum(problem.startswith("cycle") for problem in problems),
        "broken rules of the layers": len(problems),
    }


if __name__ == "__main__":
    for label, number in figures().items():
        print(f"{number:4d}  {label}")
