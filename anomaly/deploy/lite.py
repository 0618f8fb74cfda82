"""The settings for MindSpore Lite's converter, in a file beside an ONNX model."""

from pathlib import Path

from anomaly.run.files import replacing

SUFFIX = ".lite.cfg"
HEAD = "# For MindSpore Lite: "
SETTINGS = f"""\
{HEAD}converter_lite --configFile, which scripts/convert_lite.sh does.
[registry]
# It joins products and sums, and gets FastFlow's normalisation wrong.
fusion_blacklists=MulAddFusion
[ascend_context]
# Else Ascend computes in float16.
precision_mode=enforce_fp32
"""


def beside(model: Path) -> Path:
    return model.with_suffix(SUFFIX)


def write(model: Path) -> None:
    with replacing(beside(model)) as temporary:
        temporary.write_text(SETTINGS, encoding="utf-8")
