"""What every test module shares."""

from hypothesis import settings

# Derandomized: a failure is the change's fault, never the draw's. No deadline: the first call of a
# numba kernel compiles it.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")
