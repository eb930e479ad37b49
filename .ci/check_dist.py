"""Check of what a build has put into a wheel and a source archive: ``check_dist.py FOLDER``."""

import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "sklearn_unlearn"
# What a source archive holds beside the package: all that it takes to test and to build pages.
SOURCES = ("README.md", "LICENSE", "CITATION.cff", "pyproject.toml", "Makefile", "conftest.py",
           "tests/test_base.py", "docs/conf.py", "examples/basics/plot_forget_user.py")  # fmt: skip


def package_files(root):
    """Files of the package in the tree, as a wheel names them."""
    files = (path for path in (root / PACKAGE).rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix() for path in files if path.parent.name != "__pycache__"
    }


def problems_of_wheel(wheel, root=ROOT):
    """List what is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next((n.split("/")[0] for n in names if n.endswith(".dist-info/METADATA")), None)
        if info is None:
            return ["it has no metadata"]
        read = {n: archive.read(f"{info}/{n}").decode() for n in ("METADATA", "entry_points.txt")
                if f"{info}/{n}" in names}  # fmt: skip
    inside = {name for name in names if not name.startswith(f"{info}/")}
    expected = package_files(root)
    found = [f"{name} is missing" for name in sorted(expected - inside)]
    found += [f"{name} does not belong there" for name in sorted(inside - expected)]
    found += [] if f"{PACKAGE}/py.typed" in inside else ["it does not say that it is typed"]
    found += [] if any(n.endswith("licenses/LICENSE") for n in names) else ["it has no licence"]
    if "sklearn-unlearn = sklearn_unlearn.cli:entry_point" not in read.get("entry_points.txt", ""):
        found.append("it has no console script")
    return found + problems_of_metadata(read["METADATA"])


def problems_of_metadata(text):
    """List what a package index would show wrongly."""
    metadata = HeaderParser().parsestr(text)
    found = [
        f"its metadata have no {field}"
        for field in ("Summary", "License-Expression", "Requires-Python", "Classifier")
        if field not in metadata
    ]
    if metadata.get("Description-Content-Type", "") != "text/markdown":
        found.append("its description is not Markdown")
    if "[" in metadata.get("Version", "[") or metadata["Name"] != "sklearn-unlearn":
        found.append("its name or its version is another")
    return found


def problems_of_sources(archive):
    """List what is missing from a source archive."""
    with tarfile.open(archive) as tar:
        names = {name.split("/", 1)[-1] for name in tar.getnames()}
    wanted = {*SOURCES, f"{PACKAGE}/__init__.py", f"{PACKAGE}/py.typed"}
    return [f"{name} is missing" for name in sorted(wanted - names)]


def main(folder):
    """Print the problems of what is in a folder; return how many there are."""
    wheels, archives = (sorted(Path(folder).glob(kind)) for kind in ("*.whl", "*.tar.gz"))
    found = [] if len(wheels) == len(archives) == 1 else ["expected one wheel and one archive"]
    found += [f"{wheel.name}: {one}" for wheel in wheels for one in problems_of_wheel(wheel)]
    found += [f"{tar.name}: {one}" for tar in archives for one in problems_of_sources(tar)]
    print("\n".join(found) or "the wheel and the source archive hold what they should")
    return len(found)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1]), 1))
