"""The libraries of CUDA 11 that MindSpore's part for GPUs needs, where they are installed as packages.

The system's loader does not look into packages. But it takes a library that is loaded already for one of the same name,
so loading them before MindSpore is as good as LD_LIBRARY_PATH, and nobody has to set that.
"""

import ctypes
import os
import sys
from pathlib import Path

# Name of the library -> its package in requirements-gpu.txt; each needs those before it at most.
LIBRARIES = {
    "libcudart.so.11.0": "nvidia-cuda-runtime-cu11",
    "libnvrtc.so.11.2": "nvidia-cuda-nvrtc-cu11",
    "libcublasLt.so.11": "nvidia-cublas-cu11",
    "libcublas.so.11": "nvidia-cublas-cu11",
    "libcufft.so.10": "nvidia-cufft-cu11",
    "libcurand.so.10": "nvidia-curand-cu11",
    "libcusparse.so.11": "nvidia-cusparse-cu11",
    "libcusolver.so.11": "nvidia-cusolver-cu11",
    "libcudnn.so.8": "nvidia-cudnn-cu11",
    "libnccl.so.2": "nvidia-nccl-cu11",
}


def found() -> dict:
    """Name of the library -> its file, of those that are installed as packages."""
    places = [folder for entry in sys.path for folder in sorted(Path(entry or ".").glob("nvidia/*/lib"))]
    files = {name: next((place / name for place in places if (place / name).is_file()), None) for name in LIBRARIES}
    return {name: path for name, path in files.items() if path}


def preload() -> list:
    """Loads what is there, once; returns the names. To be called before MindSpore is imported."""
    loaded, there = [], found()
    for name, path in there.items():
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError:  # MindSpore, or doctor.sh, says what it lacks
            continue
        loaded.append(name)
    known = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    missing = [folder for folder in dict.fromkeys(str(path.parent) for path in there.values()) if folder not in known]
    if missing:  # for programs that this one starts; MindSpore asks `ldd` which version is there
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join([*missing, *filter(None, known)])
    return loaded
