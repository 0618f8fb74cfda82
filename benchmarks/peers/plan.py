"""What is to be measured: cases, and the order in which systems take turns at them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from anomaly.run.errors import UsageError

OURS = "ours"
GROWTH = "growth"
DIMENSIONS = {"resnet18": 100, "wide_resnet50": 550}  # of PaDiM, as its paper has them


@dataclass(frozen=True)
class Case:
    method: str
    network: str = "resnet18"
    ratio: float = 0.01  # of PatchCore's coreset
    side: int = 256
    part: int = 1  # 1 of so many training photographs is used

    @property
    def label(self) -> str:
        """The method with what shapes its cost, as --only knows it."""
        return f"{self.method}-{100 * self.ratio:g}" if self.method == "patchcore" else self.method

    @property
    def name(self) -> str:
        return f"{self.label}-{self.network}-{self.side}-{self.part}"


@dataclass(frozen=True)
class Unit:
    """One system at one case, once."""

    system: str
    case: Case
    repeat: int
    alone: bool = False  # for the tables of growth: nothing but the training is wanted

    @property
    def key(self) -> str:
        return f"{self.case.name}/{self.system}/{self.repeat}"


def compared(quick: bool) -> list[Case]:
    networks = ("resnet18",) if quick else tuple(DIMENSIONS)
    methods = (Case("patchcore"), Case("patchcore", ratio=0.1), Case("padim"), Case("fastflow"))
    return [replace(case, network=network) for network in networks for case in methods]


def growth(quick: bool) -> dict[str, list[Case]]:
    """What grows -> cases. The first of each is what the others are measured against."""
    patchcore = Case("patchcore")
    ratios = (0.01, 0.05, 0.1) if quick else (0.01, 0.05, 0.1, 0.25)
    tables = {"coreset": [replace(patchcore, ratio=ratio) for ratio in ratios]}
    for case in (patchcore,) if quick else (patchcore, Case("padim"), Case("fastflow")):
        parts, sides = ((2, 1), (224, 320)) if quick else ((4, 2, 1), (224, 320, 448))
        tables[f"training photographs, {case.label}"] = [replace(case, part=part) for part in parts]
        tables[f"side, {case.label}"] = [replace(case, side=side) for side in sides]
    return tables


@dataclass(frozen=True)
class Chosen:
    """What --quick, --only and --repeats leave."""

    cases: tuple[Case, ...]
    tables: dict[str, list[Case]]
    systems: tuple[str, ...]
    repeats: int

    def units(self, methods: dict[str, tuple]) -> list[Unit]:
        """`methods`: of each system. Case by case, and within it ours, peer, ours, peer."""
        found = [
            Unit(system, case, repeat)
            for case in self.cases
            for repeat in range(self.repeats)
            for system in self.systems
            if case.method in methods[system]
        ]
        more = dict.fromkeys(case for cases in self.tables.values() for case in cases if case not in self.cases)
        return found + [Unit(OURS, case, repeat, alone=True) for case in more for repeat in range(self.repeats)]


def choose(names: Sequence[str], *, quick: bool, only: Sequence[str], repeats: int) -> Chosen:
    """`names`: of all systems. Words of `only` name peers, methods, networks or growth; each kind narrows alone."""
    cases, tables = compared(quick), growth(quick)
    peers = [name for name in names if name != OURS]
    kinds = (peers, {case.label for case in cases}, {case.method for case in cases}, {case.network for case in cases})
    known = {word for kind in kinds for word in kind} | {GROWTH}
    for word in only:
        if word not in known:
            raise UsageError(f"--only: {word!r} is none of {', '.join(sorted(known))}")
    wanted = [name for name in peers if name in only] or peers
    labels = [word for word in only if word in kinds[1] or word in kinds[2]]
    networks = [word for word in only if word in kinds[3]]
    kept = [
        case
        for case in cases
        if (not labels or {case.label, case.method} & set(labels)) and (not networks or case.network in networks)
    ]
    if GROWTH in only and len(only) == 1:
        kept = []
    return Chosen(tuple(kept), tables if not only or GROWTH in only else {}, (OURS, *wanted), repeats)
