"""Compilers that are missing, fail or are wrong, for what is compiled at a first use."""

import pytest

from anomaly.engines import compiled


def without_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    return "no C++ compiler"


def compiler_that_fails(monkeypatch, tmp_path):
    (tmp_path / "c++").write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 1\n")
    (tmp_path / "c++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return "no such flag"


def compiler_that_speaks_another_language(monkeypatch, tmp_path):
    compiler_that_fails(monkeypatch, tmp_path)
    (tmp_path / "c++").write_bytes(b"#!/bin/sh\necho 'unbekannte Option f\xfcr' >&2\nexit 1\n")
    return "unbekannte Option f"


def wrong(module, before: str, after: str, *, reason: str):
    """As if what `module` compiles had been compiled into something else."""

    def compiler_that_is_wrong(monkeypatch, tmp_path):
        if compiled.compiler() is None:
            pytest.skip("no C++ compiler")
        text = module.SOURCE.read_text()
        assert before in text
        source = tmp_path / "wrong.cc"
        source.write_text(text.replace(before, after))
        monkeypatch.setattr(module, "SOURCE", source)
        monkeypatch.setattr(compiled, "FLAGS", ("-O0", *compiled.FLAGS[1:]))  # which takes less time
        return reason

    return compiler_that_is_wrong
