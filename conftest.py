"""Kernels and tests work in one temporary folder, which is gone when the run is over."""

import os
import tempfile
from importlib import metadata
from pathlib import Path

import pytest

_folder = pytest.StashKey[tempfile.TemporaryDirectory]()


def pytest_configure(config: pytest.Config) -> None:
    if tuple(map(int, metadata.version("torch").split(".")[:2])) < (2, 13):
        config.option.nbval_sanitize_with = Path(__file__).parent / "texts_of_older_torch.txt"
        # Older ones also warn of themselves, in kernels and in the scripts that these start.
        of_themselves = ("TypedStorage is deprecated", "The given buffer is not writable")
        os.environ["PYTHONWARNINGS"] = ",".join(f"ignore:{text}" for text in of_themselves)
    if hasattr(config, "workerinput"):  # the controller has done it, for all the workers
        return
    # nbval kills its kernels, so they cannot delete the temporary folders that they work in.
    config.stash[_folder] = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    for variable in ("TMPDIR", "TEMP", "TMP"):
        os.environ[variable] = config.stash[_folder].name
    tempfile.tempdir = None
    # As many workers run as there are cores: with more than one thread each they would wait for
    # one another. It also shows that no output hangs on the number of threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(_folder, None):
        folder.cleanup()
