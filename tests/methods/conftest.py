import pytest

from anomaly.engines import compiled
from patchcore.src import screen


@pytest.fixture(params=["own", "libraries"])
def screening(request, monkeypatch):
    """How rows are ruled out: by code of our own, or by libraries, as where it cannot be compiled."""
    if request.param == "libraries":
        monkeypatch.setattr(screen, "library", lambda: None)
    elif compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    else:
        assert screen.library()
