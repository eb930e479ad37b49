"""``python -m sklearn_unlearn.benchmarks``: the benchmarks."""

from sklearn_unlearn.utils._command import run_command

if __name__ == "__main__":
    run_command("sklearn_unlearn.benchmarks._cli")
