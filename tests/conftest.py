"""What every test module shares."""

from hypothesis import settings

from tests import id_leaks

# Derandomized: a failure is the change's fault, never the draw's. No deadline: the first call of a
# numba kernel compiles it.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


def pytest_configure(config):
    # As a plugin of the whole session: the package's doctests are watched too.
    if not config.pluginmanager.is_registered(id_leaks):
        config.pluginmanager.register(id_leaks)
