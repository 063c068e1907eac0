"""What every test starts from."""

import os
import sys
from pathlib import Path

# Without the root on the path, tests/analysis would stand in for the package of its name.
sys.path.insert(1, str(Path(__file__).parents[1]))

# Networks this small only wait for a second thread; set before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # after the path and the environment are set
from hypothesis import HealthCheck, settings

# On a busy machine the clock says nothing about a test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def ray_cluster():
    """Ray on this machine with two CPUs, shared by all tests of the session."""
    import ray

    from sweeper.tuning.cluster import QUIET

    os.environ.update(QUIET)
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="session")
def finished_run(ray_cluster, tmp_path_factory):
    """The finished run of `digits` at scale smoke, six trials; read it, don't write into it."""
    from search_spaces import load_recipe
    from sweeper.tuning import run

    return run(load_recipe("digits", "smoke"), storage=str(tmp_path_factory.mktemp("finished")))
