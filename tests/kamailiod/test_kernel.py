"""The compiled kernel: what it is made of, that it is all or nothing, and that -v tells of it."""

from __future__ import annotations

import runpy
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path

import pytest
from setuptools import Distribution, Extension

from kamailiod import options
from kamailiod.sip import message

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def build():
    return runpy.run_path(str(ROOT / "setup.py"), run_name="setup")


def test_the_kernel_in_use_is_that_of_the_parser():
    compiled = message.__file__.endswith(tuple(EXTENSION_SUFFIXES))
    assert options.kernel() == ("compiled (mypyc)" if compiled else "pure python")


@pytest.mark.parametrize(
    ("file", "kernel"),
    [("message.py", "pure python"), (f"message{EXTENSION_SUFFIXES[0]}", "compiled (mypyc)")],
)
def test_version_names_the_kernel(file, kernel, monkeypatch):
    monkeypatch.setattr(options, "find_spec", lambda name: ModuleSpec(name, None, origin=file))
    assert options.version_text().endswith(f"\nkernel: {kernel}")


def test_the_kernel_consists_of_files_that_exist(build):
    names = build["KERNEL"]
    assert "kamailiod/sip/message.py" in names
    assert not [name for name in names if not (ROOT / name).is_file()]


def test_it_is_left_out_on_demand(build, monkeypatch, capsys):
    monkeypatch.setenv("KAMAILIOD_PURE", "1")
    assert build["kernel"]() == []
    assert capsys.readouterr().err == "kamailiod is built in pure Python: KAMAILIOD_PURE=1\n"


def test_one_module_that_cannot_be_built_leaves_none(build, tmp_path, capfd):
    sources = {"good": "int good(void) { return 0; }\n", "wrong": "this is not C\n"}
    for name, text in sources.items():
        (tmp_path / f"{name}.c").write_text(text)
    extensions = [Extension(name, [str(tmp_path / f"{name}.c")]) for name in sources]
    distribution = Distribution({"ext_modules": extensions})
    command = build["BuildKernel"](distribution)
    command.build_lib = str(tmp_path / "lib")
    command.build_temp = str(tmp_path / "temp")
    command.ensure_finalized()
    command.run()
    assert not list((tmp_path / "lib").rglob("*.so"))
    assert command.get_outputs() == []
    assert not distribution.has_ext_modules()
    assert "kamailiod is built in pure Python: " in capfd.readouterr().err
