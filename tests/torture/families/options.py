"""Wrong options of every command: each is refused in one line that names it, before anything is written."""

import dataclasses
from collections.abc import Iterator

from case import Case, refused
from world import CPU

NO_NUMBER = ("", "words", "nan", "-1", "1e999", "0x10", "1,5", "--", "½", "1\n2", " ", "9" * 400, "-inf")
NO_WHOLE_NUMBER = (*NO_NUMBER, "1.5", "inf", "1e3", "true")
NO_CHOICE = ("", "words", "AUTO ", "0", "nan", "\n", "../..")
NO_BOOLEAN = ("", "maybe", "2", "nan", "\n")
NO_SIZE = ("", "words", "0", "-32", "32 32 32", "nan", "1.5", "1e3", "8", "x")


def kinds() -> dict:
    """Parser of an option -> values that it must not take. What each means is said here again, not read from it."""
    from anomaly.data import augment
    from anomaly.run import options as o

    return {
        o.positive: (*NO_WHOLE_NUMBER, "0"),
        o.count: NO_WHOLE_NUMBER,
        o.seed: (*NO_WHOLE_NUMBER, "4294967296"),
        o.above_zero: (*NO_NUMBER, "0", "inf"),
        o.zero_or_more: (*NO_NUMBER, "inf"),
        o.fraction: (*NO_NUMBER, "0", "1.1", "inf"),
        o.share: (*NO_NUMBER, "1", "inf"),
        o.rate: (*NO_NUMBER, "0", "1", "inf"),
        o.number_or_none: ("", "words", "nan", "inf", "-inf", "1e999"),
        o.boolean: NO_BOOLEAN,
        o.size: (*NO_SIZE, "none"),
        o.size_or_none: NO_SIZE,
        augment.parse: ("words", "flips,words", "nan"),
    }


def base(command: str, method: str) -> tuple:
    data = ("--dataset_path", "photos", "--category", "gear")
    state = ("--output_dir", f"out/{method}", "--category", "gear")
    return (command, method, *{
        "train": (*data, "--output_dir", "out/new", *CPU),
        "eval": (*state, "--dataset_path", "photos"),
        "predict": (*state, "--image_path", "photos"),
        "export": state,
        "preprocess": (*data, "--output_dir", "out/sent"),
        "postprocess": ("--result_dir", "back", "--label_dir", "label", "--category", "gear"),
    }[command])  # fmt: skip


def shown(command: str, config: type) -> list:
    """The options that the command takes."""
    return [spec for spec in dataclasses.fields(config) if command in spec.metadata["commands"]]


def cases(methods: tuple) -> Iterator[Case]:
    from anomaly import methods as known
    from anomaly.run.options import COMMANDS

    bad = kinds()
    turn = 0
    for method in methods:
        for command in COMMANDS:
            for spec in shown(command, known.get(method).config):
                wrong = NO_CHOICE if spec.metadata["choices"] else bad.get(spec.metadata["parse"], ())
                wrong = tuple(value for value in wrong if value not in spec.metadata["choices"])
                if command == "export" and spec.name == "batch_size":
                    continue
                for number in range(min(2, len(wrong))):  # others of each kind at the next option
                    value = wrong[(turn + number * (len(wrong) // 2)) % len(wrong)]
                    yield refused(
                        f"options/{command}_{method}/{spec.name}={value[:20]!r}",
                        (*base(command, method), f"--{spec.name}={value}"),
                        f"--{spec.name}" if spec.metadata["choices"] or value not in ("8", "32 32 32") else "",
                        code=2,
                        needs=("photos", f"out/{method}"),
                        writes=(),
                    )
                    turn += 1
            yield from of_all(command, method)
    yield from of_tools()


def of_all(command: str, method: str) -> Iterator[Case]:
    words, more = base(command, method), {"code": 2, "needs": ("photos", f"out/{method}"), "writes": ()}
    yield refused(f"options/{command}_{method}/unknown", (*words, "--colour", "red"), "--colour", **more)
    yield refused(f"options/{command}_{method}/newline", (*words, "--a\nb"), "unrecognized", **more)
    yield refused(f"options/{command}_{method}/shortened", (*words, "--backb", "resnet18"), "--backb", **more)
    yield refused(f"options/{command}_{method}/no_value", (*words, "--seed"), "--seed", **more)
    gone = (*words, "--config", "gone.yaml")
    yield refused(f"options/{command}_{method}/no_config", gone, "gone.yaml", **{**more, "code": 1})


TOOLS = {
    "toydata": ("out/toy",),
    "check": ("photos",),
    "threshold": ("out/padim/gear",),
    "compare": ("--dataset_path", "photos", "--category", "gear", "--output_dir", "out/compare"),
    "watch": ("photos", "--model", "tiny/part.onnx", "--results", "out/a.csv", "--once"),
    "serve": ("--model", "tiny/part.onnx", "--port", "0"),
    "fetch": (),
}
WRONG = {
    "toydata": {
        "seed": (*NO_WHOLE_NUMBER,),
        "train": NO_WHOLE_NUMBER,
        "test": NO_WHOLE_NUMBER,
        "size": (*NO_WHOLE_NUMBER, "0"),
    },
    "check": {
        "workers": (*NO_WHOLE_NUMBER, "0"),
        "test_share": (*NO_NUMBER, "1"),
        "layout": NO_CHOICE,
        "seed": NO_WHOLE_NUMBER,
    },
    "threshold": {
        "false_alarm_rate": (*NO_NUMBER, "0", "1", "inf"),
        "value": ("", "words", "nan", "inf", "-inf", "1e999"),
        "robust": ("", "words", "1"),
    },
    "compare": {"methods": ("", "words", ",", "padim,words"), "backbones": ("", "words", ",", "resnet18,vgg")},
    "watch": {
        "interval": (*NO_NUMBER, "0", "inf"),
        "patience": (*NO_NUMBER, "inf"),
        "batch_size": (*NO_WHOLE_NUMBER, "0"),
        "drift_window": (*NO_WHOLE_NUMBER, "0", "19"),
        "most_megabytes": (*NO_NUMBER, "0", "inf"),
        "most_megapixels": (*NO_NUMBER, "0", "inf"),
        "false_alarm_rate": (*NO_NUMBER, "0", "1", "inf"),
        "threshold": ("", "words", "nan", "inf"),
        "device_target": ("", "words", "cpu"),
    },
    "serve": {
        "port": (*NO_WHOLE_NUMBER, "65536"),
        "host": ("", "words words", "256.256.256.256"),
        "token": ("", " "),
        "batch_size": (*NO_WHOLE_NUMBER, "0"),
        "most_seconds": (*NO_NUMBER, "0", "inf"),
        "most_requests": (*NO_WHOLE_NUMBER, "0"),
        "most_megabytes": (*NO_NUMBER, "0", "inf"),
        "most_megapixels": (*NO_NUMBER, "0", "inf"),
        "drift_window": NO_WHOLE_NUMBER,
        "false_alarm_rate": (*NO_NUMBER, "0", "1"),
        "threshold": ("", "words", "nan", "inf"),
    },
    "fetch": {},
}


def of_tools() -> Iterator[Case]:
    for tool, words in TOOLS.items():
        more = {"needs": ("photos", "out/padim", "tiny/part"), "writes": (), "seconds": 15}
        for option, values in WRONG[tool].items():
            for value in values:
                code = 1 if (tool, option) == ("serve", "host") and value else 2
                says = "" if option == "host" else f"--{option}"
                typed = (tool, *words, f"--{option}={value}")
                yield refused(f"options/{tool}/{option}={value[:20]!r}", typed, says, code=code, **more)
        yield refused(f"options/{tool}/unknown", (tool, *words, "--colour=red"), "", code=2, **more)
    nothing: dict = {"code": 2, "writes": ()}
    for name, words in {
        "no_command": (),
        "unknown_command": ("words",),
        "no_method": ("train",),
        "unknown_method": ("train", "words"),
        "command_with_newline": ("a\nb",),
        "empty_command": ("",),
        "fetch_words": ("fetch", "words"),
        "fetch_outside": ("fetch", "../../etc/passwd"),
        "method_outside": ("train", "../patchcore"),
        "threshold_nothing": ("threshold",),
        "watch_nothing": ("watch",),
        "serve_nothing": ("serve",),
        "toydata_nothing": ("toydata",),
    }.items():
        yield refused(f"options/anomaly/{name}", words, "", **nothing)
