"""Without the packages of the extra, the names are there, and say what to install."""

import subprocess
import sys

CODE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("sqlalchemy", "cryptography", "psycopg", "skops"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from sklearn_unlearn import audit
for name in audit.__all__:
    getattr(audit, name)
try:
    audit.DeletionQueue(":memory:")
except ImportError as error:
    print(error)
"""


def test_an_import_error_names_the_extra():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'pip install "sklearn-unlearn[audit]"' in done.stdout
