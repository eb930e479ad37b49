"""How a command line begins and ends: output file, exit code, Ctrl-C, destructors of C++."""

import os
import signal
import subprocess
import sys

import pytest

from sklearn_unlearn.utils._command import check_output

# A destructor of a C++ library that finds a thread running does what this function of C does.
ABORTS_AT_EXIT = """
import ctypes, os
abort = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: os.abort())
getattr(ctypes.CDLL(None), "__cxa_atexit")(abort, None, None)
"""


def write_module(folder, body, before=""):
    """A module whose main has this body, and a command that runs it as the package does."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (folder / "made.py").write_text(f"import sys\n{before}\ndef main():\n{lines}", encoding="utf-8")
    code = "from sklearn_unlearn.utils._command import run_command; run_command('made')"
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", os.getcwd()), os.getcwd()])
    return [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": path}


def run_main(folder, body, before=""):
    command, environment = write_module(folder, body, before)
    return subprocess.run(command, env=environment, capture_output=True, text=True)


ENDINGS = {
    "verified": ("print('done'); return 0", 0, "done\n", ""),
    "not verified": ("return 1", 1, "", ""),
    "bad input": ("print('error: no', file=sys.stderr); return 2", 2, "", "error: no\n"),
    "usage": ("raise SystemExit(2)", 2, "", ""),
    "help": ("print('help'); raise SystemExit", 0, "help\n", ""),
    "Ctrl-C": ("print('so far'); raise KeyboardInterrupt", 130, "so far\n", "interrupted\n"),
}


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("before", ["", ABORTS_AT_EXIT], ids=["", "aborts"])
def test_exit_code_and_output_are_those_of_main(name, before, tmp_path):
    body, code, out, err = ENDINGS[name]
    done = run_main(tmp_path, body, before)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


def test_a_fault_is_not_the_code_of_a_result(tmp_path):
    done = run_main(tmp_path, "raise RuntimeError('unforeseen')")
    assert done.returncode == 3 and done.stderr.endswith("RuntimeError: unforeseen\n")
    assert run_main(tmp_path, "raise SystemExit('a text')").returncode == 3


def test_functions_registered_for_the_end_are_called(tmp_path):
    done = run_main(tmp_path, "import atexit; atexit.register(print, 'tidy'); return 0")
    assert (done.returncode, done.stdout) == (0, "tidy\n")


def test_a_reader_that_went_away_is_no_fault(tmp_path):
    command, environment = write_module(tmp_path, "print('x' * 10**6); return 0")
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    child.stdout.close()
    with child.stderr:
        assert child.stderr.read() == b""
    assert child.wait() == 141


def test_interrupt_during_imports_ends_with_one_line(tmp_path):
    slow = "print('importing', flush=True)\nimport time\ntime.sleep(60)"
    command, environment = write_module(tmp_path, "return 0", slow)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "importing\n"
        child.send_signal(signal.SIGINT)
        assert child.stderr.read() == "interrupted\n"
    assert child.returncode == 130


def test_an_output_file_is_tried_and_left_as_it_was(tmp_path):
    check_output(None, "--json")
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    old.write_text("kept", encoding="utf-8")
    for path in (new, old):
        check_output(path, "--json")
    assert not new.exists() and old.read_text(encoding="utf-8") == "kept"
    (tmp_path / "link").symlink_to(tmp_path / "target")
    check_output(tmp_path / "link", "--json")
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("place", [".", "no_folder/x.json", "file/x.json", "a" * 300])
def test_places_that_cannot_be_written_are_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"Got --out '.*', which cannot be written \(.+\); exp"):
        check_output(tmp_path / place, "--out")
