"""The methods that there are, and what a method tells of itself: its face, which loads nothing else.

A method is a folder beside this package with `__init__.py`, which holds METHOD, and `src/detector.py`. Whatever needs a
list of methods takes it from here.
"""

import functools
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

from anomaly import config as options
from anomaly.config import Config
from anomaly.data import augment, layouts
from anomaly.detector import Fitted
from anomaly.measure import reduced
from anomaly.networks import fetch, registry
from anomaly.networks.registry import Backbone
from anomaly.run import device, memory
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import method_names as names
from anomaly.run.job import Job
from anomaly.run.options import known
from anomaly.run.progress import Callback, log, silent


@dataclass(frozen=True)
class Method:
    """
    <name>.src.detector has     fit(config, samples, backbone=, job=, start=) and load(state, config, backbone=)
    <name>.src.model has        model(detector), the whole as one Cell for export, and may have compact(detector), the
                                same in less space
    """

    name: str
    title: str
    config: type[Config]
    layers: Callable  # a network's Record -> names of its layers that it looks through, from fine to coarse
    weights: dict = field(default_factory=dict)  # network -> its weights, where they are not the registry's first

    @property
    def presets(self) -> Path:
        return Path(str(sys.modules[self.config.__module__].__file__)).parents[1] / "config"

    def part(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.name}.src.{name}")

    @property
    def updates(self) -> bool:
        """Whether it can take further photographs into a detector."""
        return hasattr(self.config, "update")

    def options(self, **chosen: Any) -> Config:
        """Defaults, the network's preset, and what was chosen."""
        return options.resolve(self.config, known(self.config, chosen, where=self.name), presets=self.presets)

    def detectors(self, config: Config) -> ModuleType:
        """What makes a detector with these options."""
        return importlib.import_module("anomaly.deploy.ensemble") if config.members else self.part("detector")

    def weights_of(self, config: Config) -> str:
        """The file of weights, or the word that stands for none."""
        record = registry.get(config.backbone)
        name = self.weights.get(record.base) or next(iter(record.weights))
        return fetch.checkpoint(config.pre_ckpt_path, name)

    def backbone(self, config: Config) -> Backbone:
        """The network with its weights; the one that was asked for last is not loaded again."""
        if config.members:
            return registry.together(config.backbone, tuple(self.backbone(each) for each in config.members))
        device.use(config.device_target, config.device_id)
        memory.limit(config.memory_limit)
        source = self.weights_of(config)
        stamp = os.stat(source).st_mtime_ns if os.path.isfile(source) else 0
        return _loaded(config.backbone, self.layers(registry.get(config.backbone)), source, config.seed, stamp)

    def fit(
        self,
        photographs: Any,
        *,
        start: Optional[Fitted] = None,
        progress: Callback = silent,
        folder: Optional[Path] = None,
        test: Any = None,
        network: Optional[Backbone] = None,
        **chosen: Any,
    ) -> Fitted:
        """A detector fitted to photographs of good parts: paths, a folder, arrays (H W 3 uint8, RGB) or Pillow's.

        `chosen`: options, by the names that they have on the command line. `progress` is told of each step. Nothing is
        written, but into `folder` what a method keeps to go on with (FastFlow: snapshots, caches). `start`: a detector
        that is to take in these photographs too. `test`: photographs for a choice that is made on them (FastFlow's
        select="test_pixel_auc"). `network`: another detector's `.backbone`, so that it is not loaded again.
        """
        if start is None:
            config = self.options(**chosen)
        else:
            config = options.read_back(
                self.config,
                vars(start.config),
                folder=Path("start"),
                chosen=known(self.config, chosen, where=self.name),
            )
            network = network or start.backbone
        tests = () if test is None else layouts.to_test_on(test)
        job = Job(progress, Path(folder) if folder else None, test=tests)
        return self.fitted(config, layouts.to_train_on(photographs), job=job, start=start, backbone=network)

    def fitted(
        self,
        config: Config,
        train: tuple,
        *,
        job: Job,
        start: Optional[Fitted] = None,
        backbone: Optional[Backbone] = None,
    ) -> Fitted:
        """The same with everything decided. Of several processes one gets a detector that is complete."""
        if start is not None and (not self.updates or start.method != self.name):
            raise UsageError(f"{self.name} cannot take photographs into a detector of {start.method}; leave start out")
        if not train:
            raise UsageError("there is no photograph to train on")
        if start is not None and config.tile:
            raise UsageError("a detector of tiles takes in no further photographs; train it again")
        if start is not None and config.augment:
            raise UsageError("a detector of changed copies (--augment) takes in no further photographs; train it again")
        train = augment.expanded(train, config.augment, copies=config.augment_copies, seed=config.seed)
        train = config.transform.pieces(train)
        self._require_network(config, backbone)
        backbone = backbone or self.backbone(config)
        if start is None and not config.members:  # each member has its own
            originals = tuple(sample for sample in train if sample.change is None)
            backbone = reduced.prepared(backbone, config, samples=originals, job=job)
        detector: Fitted = self.detectors(config).fit(config, train, backbone=backbone, job=job, start=start)
        if start is not None:
            log.info("%s", difference(start, detector))
        return detector

    def load(self, state: Any, chosen: dict, *, backbone: Optional[Backbone] = None) -> Fitted:
        """The detector in a state (deploy/state.py), with those options that may still be chosen."""
        state.require_method(self.name)
        config = options.read_back(self.config, state.options(self.config), folder=state.folder, chosen=chosen)
        self._require_network(config, backbone)
        backbone = backbone or self.backbone(config)
        state.require_backbone(backbone)
        return self.detectors(config).load(state, config, backbone=state.network(backbone))

    def _require_network(self, config: Config, backbone: Optional[Backbone]) -> None:
        """A network that is handed over must be the one of the options, and give the layers that are looked at."""
        if backbone is None:
            return
        if config.members:
            if backbone.name != config.backbone:
                raise UsageError(f"network: is {backbone.name}, not {config.backbone}; leave network out")
            for each, part in zip(config.members, backbone.parts):
                self._require_network(each, part)
            return
        layers = self.layers(registry.get(config.backbone))
        if backbone.name != config.backbone or backbone.layers != layers:
            raise UsageError(
                f"network: is {backbone.name} with the layers {backbone.layers}; {self.name} with "
                f"backbone={config.backbone} needs {layers}; leave network out"
            )

    def model(self, detector: Fitted) -> Any:
        """The whole of it as one Cell, for export."""
        own = getattr(detector, "model", None)  # an ensemble's, of several
        return own() if own else self.part("model").model(detector)

    @property
    def compact(self) -> Optional[Callable]:
        return getattr(self.part("model"), "compact", None)


def difference(before: Fitted, after: Fitted) -> str:
    """What further photographs have changed."""
    counts = [len(detector.calibration.scores) for detector in (before, after)]
    limits = [f"{d.scales.image.threshold:.4f}" if d.scales.known else "none" for d in (before, after)]
    return f"changed: {counts[1]} scored photographs, before {counts[0]}; threshold {limits[1]}, before {limits[0]}"


@functools.lru_cache(maxsize=4)
def _loaded(name: str, layers: tuple, source: str, seed: int, stamp: int) -> Backbone:
    weights: Any = importlib.import_module("anomaly.networks.weights")  # which loads MindSpore
    return weights.load_backbone(name, layers, source=source, seed=seed)


def get(name: str) -> Method:
    if name not in names():
        raise DataError(f"{name}: no such method here; there are {', '.join(names())}")
    method: Method = importlib.import_module(name).METHOD
    return method
