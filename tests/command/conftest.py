"""What the tests of the commands share."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def data(tmp_path, toy) -> Path:
    """One category of the drawn data, to change."""
    shutil.copytree(toy / "gear", tmp_path / "data" / "gear")
    return tmp_path / "data"
