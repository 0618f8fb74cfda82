"""Options: where they come from, what is allowed, what is read back."""

import dataclasses
from pathlib import Path

import pytest
import yaml

import patchcore
from anomaly import config as options
from anomaly.commands import common
from anomaly.run import options as config
from anomaly.run.errors import DataError, UsageError
from patchcore.src.config import Config

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ROOT / "patchcore" / "config"


def resolved(*flags, presets: Path = PRESETS) -> Config:
    return options.resolve(Config, parsed(Config, flags, "train"), presets=presets)


def parsed(cls, flags, command: str) -> dict:
    method = dataclasses.replace(patchcore.METHOD, config=cls)
    return common.parse(method, command, text="", argv=[str(flag) for flag in flags], own=lambda group: None).given


def saved(tmp_path: Path, *flags) -> Path:
    path = tmp_path / "nut" / "config.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(config.to_yaml(config.to_values(resolved(*flags))), encoding="utf-8")
    return path


def read_back(path: Path, *flags) -> Config:
    return options.read_back(
        Config, config.from_yaml(Config, path), folder=path.parent, chosen=parsed(Config, flags, "eval")
    )


def yaml_file(path: Path, **values) -> Path:
    path.write_text(yaml.safe_dump(values))
    return path


def test_flags_go_before_the_config_file_before_the_preset_before_the_defaults(tmp_path):
    yaml_file(tmp_path / "resnet18.yaml", k=2, seed=2, batch_size=2)
    own = yaml_file(tmp_path / "own.yaml", k=3, seed=3)
    found = resolved("--backbone", "resnet18", "--config", own, "--k", 4, presets=tmp_path)
    assert (found.k, found.seed, found.batch_size, found.workers) == (4, 3, 2, Config().workers)


def test_the_config_file_may_choose_the_backbone_and_so_its_preset(tmp_path):
    yaml_file(tmp_path / "wide_resnet50.yaml", k=1)
    yaml_file(tmp_path / "resnet18.yaml", k=2)
    own = yaml_file(tmp_path / "own.yaml", backbone="resnet18")
    assert resolved("--config", own, presets=tmp_path).k == 2
    assert resolved("--config", own, "--backbone", "wide_resnet50", presets=tmp_path).k == 1


@pytest.mark.parametrize("backbone", ["resnet18", "wide_resnet50"])
def test_the_presets_are_valid_and_of_their_backbone(backbone):
    found = resolved("--backbone", backbone)
    assert found.backbone == backbone
    assert found.transform.size == (224, 224)


def test_an_unknown_option_in_a_file_is_named(tmp_path):
    own = yaml_file(tmp_path / "own.yaml", coreset=0.1)
    with pytest.raises(UsageError, match=r"own\.yaml.*coreset"):
        resolved("--config", own)


@pytest.mark.parametrize(
    "name,value",
    [
        ("k", "3.5"),
        ("k", "abc"),
        ("k", "0"),
        ("k", "-1"),
        ("k", True),
        ("k", [1, 2]),
        ("batch_size", "0"),
        ("workers", "many"),
        ("seed", "-1"),
        ("seed", 1.5),
        ("pictures", "-1"),
        ("coreset_ratio", "0"),
        ("coreset_ratio", "1.1"),
        ("coreset_ratio", "nan"),
        ("coreset_ratio", None),
        ("false_alarm_rate", "1"),
        ("false_alarm_rate", "0"),
        ("false_alarm_rate", "-0.1"),
        ("backbone", "vgg"),
        ("device_target", "TPU"),
        ("resize", "big"),
        ("resize", "0"),
        ("resize", [1, 2, 3]),
        ("resize", "none"),
        ("resize", 256.5),
        ("crop", "300"),
        ("resize", "16"),
    ],
)
def test_wrong_values_are_refused_in_files_as_on_the_command_line(tmp_path, name, value):
    with pytest.raises(UsageError, match=name):
        resolved("--config", yaml_file(tmp_path / "own.yaml", **{name: value}))
    if isinstance(value, str):
        with pytest.raises(UsageError, match=f"--{name}"):
            resolved(f"--{name}={value}")


@pytest.mark.parametrize("words", [("--k", "2.0"), ("--config", "gone.yaml")])
def test_errors_name_the_option_or_the_file(words):
    with pytest.raises(DataError, match=words[1 if words[0] == "--config" else 0]):
        resolved(*words)


@pytest.mark.parametrize("content", ["[1, 2]", "just words", "a: [", "\x00"])
def test_a_file_that_is_no_list_of_options_is_named(tmp_path, content):
    (tmp_path / "own.yaml").write_text(content)
    with pytest.raises(UsageError, match=r"own\.yaml"):
        resolved("--config", tmp_path / "own.yaml")


def test_an_empty_file_changes_nothing(tmp_path):
    (tmp_path / "own.yaml").write_text("")
    assert resolved("--config", tmp_path / "own.yaml") == resolved()


@pytest.mark.parametrize(
    "words,wanted",
    [
        (("256",), (256, 256)),
        (("256", "384"), (256, 384)),
        (("256x384",), (256, 384)),
        (("256,384",), (256, 384)),
    ],
)
def test_sizes_are_one_side_or_height_and_width(words, wanted):
    assert resolved("--resize", *words).resize == wanted


def test_choices_may_be_typed_in_other_letters():
    assert resolved("--device_target", "cpu").device_target == "CPU"
    assert resolved("--engine", "ONNXRuntime").engine == "onnxruntime"


@pytest.mark.parametrize(
    "words,crop",
    [
        (("--resize", "256"), (224, 224)),
        (("--resize", "512"), (448, 448)),
        (("--resize", "128", "320"), (112, 280)),
        (("--resize", "512", "--crop", "none"), None),
        (("--resize", "512", "--crop", "400"), (400, 400)),
    ],
)
def test_with_another_size_alone_the_same_part_is_kept(words, crop):
    assert resolved(*words).crop == crop


@pytest.mark.parametrize("value,wanted", [(320, (320, 320)), ([256, 384], (256, 384)), ("256 384", (256, 384))])
def test_sizes_in_a_file_are_a_number_a_list_or_text(tmp_path, value, wanted):
    assert resolved("--config", yaml_file(tmp_path / "own.yaml", resize=value)).resize == wanted


@pytest.mark.parametrize("value", ["none", "None", None])
def test_no_crop_keeps_the_whole_image(tmp_path, value):
    found = resolved("--config", yaml_file(tmp_path / "own.yaml", crop=value, resize=[64, 96]))
    assert found.crop is None
    assert found.transform.size == (64, 96)
    assert resolved("--crop", "none").transform.size == (256, 256)


def test_categories_may_have_blanks_in_their_names(tmp_path):
    assert resolved("--category", "metal nut", "bolt").category == ("metal nut", "bolt")
    assert resolved("--category", "metal nut,bolt").category == ("metal nut", "bolt")
    listed = yaml_file(tmp_path / "own.yaml", category=["metal nut", "bolt"])
    assert resolved("--config", listed).category == ("metal nut", "bolt")


@pytest.mark.parametrize("text", ["true", "TRUE", "yes", "on", "1"])
def test_words_for_true(text):
    assert config.boolean(text) is True


@pytest.mark.parametrize("text", ["false", "No", "off", "0"])
def test_words_for_false(text):
    assert config.boolean(text) is False


@pytest.mark.parametrize("text", ["maybe", "", "2", "t", "none"])
def test_other_words_are_no_booleans(text):
    with pytest.raises(ValueError):
        config.boolean(text)


@dataclasses.dataclass(frozen=True)
class Switched(options.Config):
    switch: bool = config.option(False, config.boolean, "a switch")


@pytest.mark.parametrize(
    "flags,wanted", [([], False), (["--switch"], True), (["--switch", "no"], False), (["--switch", "yes"], True)]
)
def test_a_boolean_flag_needs_no_word_and_takes_one(tmp_path, flags, wanted):
    yaml_file(tmp_path / "wide_resnet50.yaml")
    assert options.resolve(Switched, parsed(Switched, flags, "train"), presets=tmp_path).switch is wanted


def test_a_boolean_that_is_none_is_refused_everywhere(tmp_path):
    yaml_file(tmp_path / "wide_resnet50.yaml")
    own = yaml_file(tmp_path / "own.yaml", switch="maybe")
    for flags in (["--switch", "maybe"], ["--config", str(own)]):
        with pytest.raises(UsageError, match="switch"):
            parsed(Switched, flags, "train")


def test_what_was_written_is_read_back(tmp_path):
    path = saved(tmp_path, "--backbone", "resnet18", "--resize", 64, 96, "--crop", "none", "--k", 3, "--seed", 7)
    found = read_back(path)
    assert (found.backbone, found.resize, found.crop, found.k, found.seed) == ("resnet18", (64, 96), None, 3, 7)


@pytest.mark.parametrize(
    "flags",
    [
        ("--backbone", "wide_resnet50"),
        ("--resize", "128"),
        ("--crop", "32"),
        ("--coreset_ratio", "0.5"),
        ("--k", "2"),
        ("--seed", "2"),
    ],
)
def test_read_back_refuses_another_choice_of_what_training_decided(tmp_path, flags):
    path = saved(tmp_path, "--backbone", "resnet18", "--resize", "64", "--crop", "none")
    with pytest.raises(DataError, match=f"nut.*{flags[0]}"):
        read_back(path, *flags)


def test_read_back_accepts_the_same_choice_and_whatever_is_open(tmp_path):
    path = saved(tmp_path, "--backbone", "resnet18", "--resize", "64", "--crop", "none", "--false_alarm_rate", "0.2")
    assert read_back(path).false_alarm_rate == 0.2
    flags = ("--backbone", "resnet18", "--resize", "64", "64", "--crop", "none", "--false_alarm_rate", "0.05")
    found = read_back(path, *flags, "--batch_size", "3", "--pre_ckpt_path", "other.ckpt")
    assert (found.false_alarm_rate, found.batch_size, found.pre_ckpt_path) == (0.05, 3, "other.ckpt")


def test_read_back_accepts_one_flag_of_training_without_the_others(tmp_path):
    path = saved(tmp_path, "--backbone", "resnet18", "--resize", "64", "--crop", "none")
    assert read_back(path, "--resize", "64").transform.size == (64, 64)


def test_read_back_forgets_where_the_training_data_was(tmp_path):
    path = saved(tmp_path, "--dataset_path", "somewhere", "--batch_size", "3", "--device_target", "CPU")
    found = read_back(path)
    assert (found.dataset_path, found.batch_size, found.device_target) == ("", 3, "")
