"""Industrial anomaly detection on MindSpore: what all methods share, and the verbs of the library.

    import anomaly, patchcore

    detector = patchcore.fit("photos/bottle/train/good", backbone="resnet18")
    judgement = detector.judge("photo.png")
    detector.save("bottle")
    anomaly.load("bottle")

Importing it loads nothing heavy. MindSpore and faiss read some environment variables when they are loaded, so these are
given their defaults here; a value set by the user is left alone.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anomaly.data.samples import Category, Sample
    from anomaly.data.sources import folders
    from anomaly.deploy.loading import load
    from anomaly.detector import Detector, evaluate
    from anomaly.measure.evaluation import Evaluation
    from anomaly.measure.judgement import Judgement
    from anomaly.run.errors import DataError, UsageError

__version__ = "0.2.0"
__all__ = [
    "Category",
    "DataError",
    "Detector",
    "Evaluation",
    "Judgement",
    "Sample",
    "UsageError",
    "evaluate",
    "folders",
    "load",
]

# On AVX-512 machines oneDNN falls back to a reference convolution that is about 50 times slower.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
# Many small matrix products at once (run/threads.py), each in one thread: OpenBLAS's own threads wait for one another
# longer than such a product takes, and keep the cores busy meanwhile.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Threads that spin after a search would keep the cores from the network's next batch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# MindSpore's own log: errors only. Its warnings speak of back ends that are not installed.
os.environ.setdefault("GLOG_v", "3")
# ONNX Runtime tells nobody that it is used, and keeps no number for each user.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Seconds after which processes of one training on CPUs give each other up; one of them may work alone for long.
os.environ.setdefault("MS_CPU_COMM_OP_TIMEOUT", "86400")

_PLACES = {
    "Category": "data.samples",
    "DataError": "run.errors",
    "Detector": "detector",
    "Evaluation": "measure.evaluation",
    "Judgement": "measure.judgement",
    "Sample": "data.samples",
    "UsageError": "run.errors",
    "evaluate": "detector",
    "folders": "data.sources",
    "load": "deploy.loading",
}


def __dir__() -> list:
    return sorted({*globals(), *_PLACES})


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'anomaly' has no attribute {name!r}")
    return getattr(importlib.import_module(f"anomaly.{_PLACES[name]}"), name)
