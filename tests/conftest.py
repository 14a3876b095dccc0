"""What every test runs in: a cache and a library of its own, reproducible draws, one thread per worker."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("attncc", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("attncc"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "attncc")


def pytest_configure(config: pytest.Config) -> None:
    """Workers inherit the directories of the process that started them, so a kernel is compiled once for all."""
    if "ATTNCC_TESTS" not in os.environ:
        scratch = Path(tempfile.mkdtemp(prefix="attncc-tests-"))
        config.add_cleanup(lambda: _remove(scratch))
        os.environ["ATTNCC_TESTS"] = str(scratch)
        os.environ["ATTNCC_CACHE"] = str(scratch / "cache")
        os.environ["ATTNCC_LIBRARY"] = str(scratch / "library")
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not _gpu_present():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="PyTorch sees no GPU here"))


def _gpu_present() -> bool:
    import torch

    return torch.cuda.is_available()


def _remove(scratch: Path) -> None:
    import shutil

    os.environ.pop("ATTNCC_TESTS", None)
    shutil.rmtree(scratch, ignore_errors=True)
