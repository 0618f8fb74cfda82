"""What the tests of this room share."""

from pathlib import Path

import pytest
import tiny_model

import anomaly


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """An exported model that takes any number of photographs. Read only."""
    return tiny_model.write(tmp_path_factory.mktemp("tiny") / "part.onnx")


@pytest.fixture(scope="session")
def detector(tiny):
    return anomaly.load(tiny)
