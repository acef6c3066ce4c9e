"""Where the real networks and data sets are; and Ctrl-C, which must interrupt what tests start."""

import os
import signal
from pathlib import Path

import pytest

_SHARED = Path(
    os.environ.get("THRESHER_SHARED", Path(__file__).resolve().parent.parent.parent / "shared")
)

# What it asserts is shown, as in the tests that call it.
pytest.register_assert_rewrite("aborts")

# A job in the background of a shell ignores it, and so would all programs that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Folder of the real networks; the test is skipped where it is absent."""
    folder = _SHARED / "models"
    if not folder.is_dir():
        pytest.skip(f"no real networks in {folder} (set THRESHER_SHARED)")
    return folder


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """Folder of MNIST's IDX files; the test is skipped where it is absent."""
    folder = _SHARED / "data" / "mnist"
    if not folder.is_dir():
        pytest.skip(f"no MNIST files in {folder} (set THRESHER_SHARED)")
    return folder
