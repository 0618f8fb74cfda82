"""Judges photographs through the library, as any program can: judge.py LIBRARY MODEL PHOTOGRAPH...

LIBRARY is libanomaly.so. Of Python nothing but ctypes is needed.
"""

import ctypes
import sys

TEXTS = ("UNKNOWN", "NORMAL", "ANOMALOUS")
NUMBER, WHOLE = ctypes.c_double, ctypes.c_int


class Region(ctypes.Structure):
    _fields_ = (
        *((name, WHOLE) for name in ("left", "top", "width", "height")),
        ("area", ctypes.c_int64),
        ("peak", NUMBER),
        ("normalised", NUMBER),
        ("x", WHOLE),
        ("y", WHOLE),
    )


class Result(ctypes.Structure):
    _fields_ = (
        ("verdict", WHOLE),
        ("score", NUMBER),
        ("normalised", NUMBER),
        ("threshold", NUMBER),
        ("map_height", WHOLE),
        ("map_width", WHOLE),
        ("map", ctypes.POINTER(ctypes.c_float)),
        ("region_count", ctypes.c_size_t),
        ("regions", ctypes.POINTER(Region)),
    )


def open_library(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    library.anomaly_load.restype = ctypes.c_void_p
    library.anomaly_message.restype = ctypes.c_char_p
    library.anomaly_judge_file.restype = ctypes.POINTER(Result)
    library.anomaly_judge_file.argtypes = ctypes.c_void_p, ctypes.c_char_p
    library.anomaly_free_result.argtypes = (ctypes.POINTER(Result),)
    library.anomaly_free.argtypes = (ctypes.c_void_p,)
    return library


def main(path: str, model_path: str, *photographs: str) -> int:
    library, code = open_library(path), 0
    model = library.anomaly_load(model_path.encode(), None)
    if not model:
        print(f"error: {library.anomaly_message().decode()}", file=sys.stderr)
        return 1
    for photograph in photographs:
        found = library.anomaly_judge_file(model, photograph.encode())
        if not found:
            print(f"error: {library.anomaly_message().decode()}", file=sys.stderr)
            code = 1
            continue
        result = found.contents
        print(f"{TEXTS[result.verdict]:9}  {result.score:.4f}  {photograph}")
        for region in result.regions[: result.region_count]:
            print(f"  {region.width} x {region.height} pixels at {region.left}, {region.top}")
        library.anomaly_free_result(found)
    library.anomaly_free(model)
    return code


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("Usage: judge.py LIBRARY MODEL PHOTOGRAPH...")
    sys.exit(main(*sys.argv[1:]))
