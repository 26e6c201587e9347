"""What all tests share: a finished run, and that tests which need a GPU say so instead of failing where there is none."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.checkout import TINY, make_checkout, snakemake

# The same examples every time, and no limit by the clock: a busy machine is no failure.
settings.register_profile("hal", deadline=None, derandomize=True)
settings.load_profile("hal")


def pytest_collection_modifyitems(items):
    """Skip tests marked `cuda` on a machine without a CUDA device, with the reason."""
    if not any(item.get_closest_marker("cuda") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory, worker_id) -> Path:
    """A checkout with a finished tiny run, made once for all processes that test; never to be changed."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent
    finished, made = folder / "finished", folder / "being-made"
    with FileLock(folder / "finished.lock"):
        if not finished.exists():
            done = snakemake(make_checkout(made), *TINY)
            assert done.returncode == 0, done.stdout
            made.rename(finished)
    return finished


@pytest.fixture
def finished(finished_once, tmp_path) -> Path:
    """A copy of a checkout with a finished tiny run (2 epochs, `baseline` and `pairs`, seeds 0 and 1)."""
    return Path(shutil.copytree(finished_once, tmp_path / "finished"))
