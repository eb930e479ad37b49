"""The check of built archives, and what the build and the recipe for conda say."""

import importlib.util
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import sklearn_unlearn

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_spec = importlib.util.spec_from_file_location("check_dist", ROOT / ".ci" / "check_dist.py")
check_dist = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check_dist)

METADATA = """Metadata-Version: 2.4
Name: sklearn-unlearn
Version: 0.1.0
Summary: Recommenders that can forget.
License-Expression: BSD-3-Clause
Requires-Python: >=3.11
Classifier: Typing :: Typed
Description-Content-Type: text/markdown

# sklearn-unlearn
"""
SCRIPTS = "[console_scripts]\nsklearn-unlearn = sklearn_unlearn.cli:entry_point\n"


def wheel_of(folder, left_out=(), added=(), metadata=METADATA, scripts=SCRIPTS):
    """A wheel of the package as it is in the tree."""
    path = folder / "sklearn_unlearn-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(check_dist.package_files(ROOT) - set(left_out)):
            archive.writestr(name, "")
        for name in added:
            archive.writestr(name, "")
        info = "sklearn_unlearn-0.1.0.dist-info"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/entry_points.txt", scripts)
        archive.writestr(f"{info}/licenses/LICENSE", "")
    return path


def test_a_whole_wheel_has_no_problem(tmp_path):
    assert check_dist.problems_of_wheel(wheel_of(tmp_path)) == []


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"left_out": ["sklearn_unlearn/audit/_queue.py"]}, "audit/_queue.py is missing"),
        ({"left_out": ["sklearn_unlearn/py.typed"]}, "does not say that it is typed"),
        ({"added": ["tests/test_base.py"]}, "tests/test_base.py does not belong there"),
        ({"scripts": ""}, "no console script"),
        ({"metadata": METADATA.replace("text/markdown", "text/plain")}, "is not Markdown"),
        ({"metadata": METADATA.replace("Summary", "Summa")}, "no Summary"),
    ],
)
def test_faults_of_a_wheel_are_found(fault, problem, tmp_path):
    assert any(problem in one for one in check_dist.problems_of_wheel(wheel_of(tmp_path, **fault)))


def test_archives_of_sources_hold_what_tests_need(tmp_path, capsys):
    wheel_of(tmp_path)
    names = [*check_dist.SOURCES, "sklearn_unlearn/__init__.py", "sklearn_unlearn/py.typed"]
    for number, kept in enumerate((names, names[1:])):
        with tarfile.open(tmp_path / "sklearn_unlearn-0.1.0.tar.gz", "w:gz") as archive:
            for name in kept:
                archive.add(ROOT / name, f"sklearn_unlearn-0.1.0/{name}")
        assert check_dist.main(tmp_path) == number
    assert "README.md is missing" in capsys.readouterr().out


def test_the_workflow_builds_and_checks_what_is_published():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = "\n".join(step.get("run", "") for step in workflow["jobs"]["package"]["steps"])
    for command in ("-m build", "twine check --strict", ".ci/check_dist.py dist", "dist/*.whl"):
        assert command in steps


def test_the_recipe_for_conda_says_what_the_project_says():
    text = (ROOT / ".ci/recipe.yaml").read_text(encoding="utf-8")
    recipe = yaml.safe_load(text)
    run = recipe["requirements"]["run"]
    declared = {re.match(r"[\w-]+", one).group(): one for one in PROJECT["dependencies"]}
    told = {one.split()[0]: one.replace(" ", "") for one in run if not one.startswith("python")}
    assert told == declared
    version = sklearn_unlearn.__version__
    assert recipe["context"]["version"] == version
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["summary"] == PROJECT["description"]
    (script,) = recipe["build"]["python"]["entry_points"]
    assert script.split(" = ") == ["sklearn-unlearn", PROJECT["scripts"]["sklearn-unlearn"]]
