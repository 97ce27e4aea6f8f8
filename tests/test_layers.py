"""The law of the packages: who may import whom, and how large a file or function may be.

Imports are read with `ast`, those inside functions and under TYPE_CHECKING included; only files
that git tracks count.
"""

from __future__ import annotations

import ast
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("shm", "lua", "workers", "kamailiod")

# What a layer may import besides itself.  A layer is a package, or a folder or file of kamailiod.
ALLOWED: dict[str, set[str]] = {
    "shm": set(),
    "lua": set(),
    "workers": {"shm"},
    "sip": {"shm"},
    "net": {"sip", "shm"},
    "cfg": set(),
    "script": {"net", "sip", "cfg", "shm", "lua", "workers"},
    "modules": {"script", "net", "sip", "cfg", "shm", "lua", "workers"},
    "metrics": {"shm", "workers"},
    "rpc": {"metrics", "script", "net", "shm", "lua", "workers"},
    "ctl": {"script"},
    "server": {
        "sip", "net", "cfg", "script", "modules", "metrics", "rpc", "shm", "lua", "workers",
    },
    "root": set(),
}  # fmt: skip
LOWER = {"sip", "net", "cfg", "script", "modules", "metrics", "rpc", "ctl"}
"""The folders of kamailiod; every other file in it is at the level of the server."""

# (importing file, imported module): why this edge may run upwards or close a cycle.
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("kamailiod/script/module.py", "kamailiod.script.services"): (
        "types only: a module is made with Services, and Services hands out modules"
    ),
}

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}


@lru_cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *PACKAGES], cwd=ROOT, check=True, capture_output=True
    )
    names = (name for name in listed.stdout.decode().split("\0") if name.endswith(".py"))
    return tuple(path for name in names if (path := ROOT / name).exists())


@lru_cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


def module_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@lru_cache
def modules() -> dict[str, Path]:
    return {module_of(path): path for path in tracked()}


def layer_of(module: str) -> str:
    parts = module.split(".")
    if parts[0] != "kamailiod":
        return parts[0]
    if len(parts) == 1:
        return "root"
    return parts[1] if parts[1] in LOWER else "server"


def imported(path: Path) -> set[str]:
    """Our own modules that a file imports, the longest name that is a file or package of ours."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path)
            names = [
                full if (full := f"{base}.{alias.name}") in modules() else base
                for alias in node.names
            ]
        else:
            continue
        found.update(name for name in names if name.split(".")[0] in PACKAGES)
    return found - {module_of(path)}


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if node.level == 0:
        return node.module or ""
    package = list(path.relative_to(ROOT).parent.parts)
    above = package[: len(package) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_packages_are_found() -> None:
    assert {layer_of(name) for name in modules()} >= {
        "shm", "lua", "workers", "sip", "net", "cfg", "script", "modules", "server",
    }  # fmt: skip


def test_nothing_imports_upwards() -> None:
    wrong = [
        f"{relative(path)} imports {name} ({layer_of(module)} -> {layer_of(name)})"
        for module, path in modules().items()
        for name in sorted(imported(path))
        if layer_of(name) not in {layer_of(module), "root"} | ALLOWED[layer_of(module)]
        and (relative(path), name) not in EXCEPTIONS
    ]
    assert not wrong, "\n".join(wrong)


def test_every_exception_is_still_needed() -> None:
    edges = {(relative(path), name) for path in tracked() for name in imported(path)}
    assert set(EXCEPTIONS) <= edges


def test_what_is_imported_exists() -> None:
    missing = [
        f"{relative(path)} imports {name}"
        for path in tracked()
        for name in sorted(imported(path))
        if name not in modules() and not (ROOT / (name.replace(".", "/") + ".py")).exists()
    ]
    assert not missing, "\n".join(missing)


def test_no_two_files_import_each_other() -> None:
    graph = {
        module: {
            name
            for name in imported(path) & set(modules())
            if (relative(path), name) not in EXCEPTIONS
        }
        for module, path in modules().items()
    }
    cycles = _cycles(graph)
    assert not cycles, "\n".join(" <-> ".join(sorted(cycle)) for cycle in cycles)


def _cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    # Tarjan's strongly connected components, without recursion.
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[set[str]] = []
    for start in graph:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        stack.append(start)
        work = [(start, iter(sorted(graph[start])))]
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    work.append((target, iter(sorted(graph[target]))))
                    break
                if target in stack:
                    low[node] = min(low[node], order[target])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == order[node]:
                    position = stack.index(node)
                    component, stack[position:] = set(stack[position:]), []
                    if len(component) > 1:
                        cycles.append(component)
    return cycles


def test_cycles_would_be_found() -> None:
    assert _cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
    assert _cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("package", ["lupa", "lark", "sqlalchemy", "aiohttp", "uvloop"])
def test_heavy_libraries_stay_out_of_the_sip_core(package: str) -> None:
    wrong = [
        relative(path)
        for module, path in modules().items()
        if layer_of(module) in ("shm", "sip", "net")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
        if name.split(".")[0] == package
    ]
    assert not wrong


def test_only_lua_imports_lupa() -> None:
    wrong = {
        relative(path)
        for module, path in modules().items()
        if layer_of(module) != "lua"
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Import) and any(a.name.startswith("lupa") for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lupa"))
    }
    assert not wrong


def test_no_file_is_too_long() -> None:
    long = {
        relative(path): lines
        for path in tracked()
        if (lines := path.read_bytes().count(b"\n")) > 500
    }
    assert not long


def test_no_function_is_too_long() -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name}: {length} lines"
        for path in tracked()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and (length := node.end_lineno - node.lineno + 1) > 60
    ]
    assert not long, "\n".join(long)


def test_every_file_opens_with_a_docstring() -> None:
    silent = [relative(path) for path in tracked() if not ast.get_docstring(tree_of(path))]
    assert not silent


def test_every_file_is_named_after_something() -> None:
    # A module has Kamailio's name, and one of Kamailio's is "utils".
    ours = [path for path in tracked() if path.parent != ROOT / "kamailiod" / "modules"]
    assert not [relative(path) for path in ours if path.stem in NAMES_THAT_SAY_NOTHING]
