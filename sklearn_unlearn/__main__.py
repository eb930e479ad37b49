"""``python -m sklearn_unlearn``: the demo."""

from sklearn_unlearn.utils._command import run_command

if __name__ == "__main__":
    run_command("sklearn_unlearn.demo")
