"""Settings that must stand before anything imports SciPy or a BLAS.

pytest loads this file first, also when it collects the doctests of the package.
"""

import os

# Without it, scikit-learn skips one of its estimator checks. SciPy reads it once, at import.
os.environ["SCIPY_ARRAY_API"] = "1"
