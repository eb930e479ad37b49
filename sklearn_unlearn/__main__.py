"""``python -m sklearn_unlearn``: the commands of ``sklearn-unlearn``, or else the demo."""

import sys

from sklearn_unlearn.cli import COMMANDS
from sklearn_unlearn.utils._command import run_command

if __name__ == "__main__":
    run_command(f"sklearn_unlearn.{'cli' if sys.argv[1:2] and sys.argv[1] in COMMANDS else 'demo'}")
