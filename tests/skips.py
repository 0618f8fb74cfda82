"""In CI a test that is skipped is a failure, unless it stands here with a reason. `STRICT_SKIPS` switches this on."""

import importlib.util
import os
import shutil
from pathlib import Path

ALLOWED = {
    "no real photographs or weights here": "they may not be passed on with the project",
    "this processor has no bfloat16": "there is nothing to compare",
    "there is a GPU": "the test is about a machine without one",
    "no /dev/full here": "only Linux has a file that is always full",
    "there is no clang++ here": "the compiler that Debian's packages bring is g++",
    "there is no Docker here": "the image is checked without being built",
    "MindSpore Lite cannot be had here": "there is no network, or another kind of processor",
    "not a checkout of git": "the list of files to compare with comes from git",
}
PACKAGES = "NO_DEBIAN_PACKAGES"  # is set where what is no Python package cannot be installed
BROWSER, DRIVER = "chromium", "chromedriver"  # of the packages chromium and chromium-driver


def is_allowed(reason: str) -> bool:
    return reason in ALLOWED or (reason.endswith("is not installed") and bool(os.environ.get(PACKAGES)))


def cpp_is_missing() -> str:
    """What the C++ program cannot be built without, or nothing."""
    for tool in ("g++", "cmake", "make"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    if importlib.util.find_spec("openvino") is None:
        return "the package openvino is not installed"
    for folder, package in (("opencv4", "libopencv-dev"), ("nlohmann", "nlohmann-json3-dev")):
        if not any((Path(prefix) / "include" / folder).is_dir() for prefix in ("/usr", "/usr/local")):
            return f"{package} is not installed"
    return ""


def browser_is_missing() -> str:
    """What a report cannot be looked at without, or nothing."""
    return next((f"{program} is not installed" for program in (BROWSER, DRIVER) if not shutil.which(program)), "")


class Watch:
    """A plugin of pytest's: collects what should not have been skipped, and fails the run for it."""

    def __init__(self):
        self.unexpected = []

    def pytest_runtest_logreport(self, report):
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if not is_allowed(reason):
                self.unexpected.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session):
        if self.unexpected and session.exitstatus == 0:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter):
        for line in self.unexpected:
            terminalreporter.write_line(f"SKIPPED WITHOUT LEAVE {line} (tests/skips.py)", red=True)
