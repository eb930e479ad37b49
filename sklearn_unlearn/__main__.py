"""``python -m sklearn_unlearn``: the demo."""

import sys

from sklearn_unlearn.demo import main

if __name__ == "__main__":
    sys.exit(main())
