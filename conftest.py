"""Settings that must stand before anything imports SciPy or a BLAS.

pytest loads this file first, also when it collects the doctests of the package.
"""

import os

# Without it, scikit-learn skips one of its estimator checks. SciPy reads it once, at import.
os.environ["SCIPY_ARRAY_API"] = "1"

# MLflow: runs in files, as tests need no server, and no count of its use over the network.
os.environ["MLFLOW_ALLOW_FILE_STORE"] = os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
