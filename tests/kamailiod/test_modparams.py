"""No modparam passes in silence: it is read by its module, or a warning says that it is not."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from kamailiod.cfg import load
from kamailiod.loading import ineffective_params, module_classes

KINDS = module_classes()
SOURCES = "".join(
    path.read_text() for path in (Path(__file__).parents[2] / "kamailiod").rglob("*.py")
)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_modparam_is_read_or_warned_about(kind):
    names = {field.name for field in fields(kind.Params)}
    without = set(getattr(kind, "without_effect", ()))
    assert without <= names
    for name in names - without:
        read = rf'(params|given|self)\.{name}\b|getattr\([\w.]*params, "{name}"'
        assert re.search(read, SOURCES), name


def test_what_is_set_to_its_default_is_not_warned_about(tmp_path):
    path = tmp_path / "x.cfg"
    path.write_text("""
modparam("tm", "failure_reply_mode", 3)
modparam("tm", "relay_100", 1)
modparam("tm|usrloc", "timer_procs", 4)
modparam("tm", "fr_timer", 5)
""")
    config = load(str(path))
    assert [p.name for p in ineffective_params(KINDS["tm"], config)] == ["relay_100"]
    assert [p.name for p in ineffective_params(KINDS["usrloc"], config)] == ["timer_procs"]
