"""Tests that need a GPU say so instead of failing where there is none."""

import pytest


def pytest_collection_modifyitems(items):
    """Skip tests marked `cuda` on a machine without a CUDA device, with the reason."""
    if not any(item.get_closest_marker("cuda") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))
