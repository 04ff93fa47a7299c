"""The rules of the house that a machine can check: one arrow of imports, small files, no forbidden calls."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tastemaker"
LAYERS = (
    ("artifacts", "atomic", "config", "errors", "memory", "processes", "registry", "types"),
    ("data",),
    ("collab",),
    ("prompts",),
    ("llm",),
    ("tuning",),
    ("methods",),
    ("evaluate", "recommend"),
    ("serve",),
    ("cli",),
    ("testing",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
ENTRANCES = {"__init__", "__main__"}
MAX_LINES = 400

FORBIDDEN_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "tempfile.mktemp",
    "torch.load",
    "torch.save",
    "yaml.load",
    "yaml.full_load",
    "yaml.unsafe_load",
    "polars.LazyFrame.deserialize",
    "polars.DataFrame.deserialize",
    "numpy.random.seed",
    "random.seed",
}
FORBIDDEN_OPTIONS = {("shell", True), ("trust_remote_code", True), ("allow_pickle", True), ("verify", False)}


def modules() -> dict[str, ast.Module]:
    """Every module of the library by its dotted name below ``tastemaker``."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imports(tree: ast.AST, package: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted names a module imports; those that start with dots are resolved against its package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def violations(tree: ast.AST) -> Iterator[str]:
    """The forbidden modules, calls and options in a module, aliases seen through."""
    known = {"np": "numpy", "pl": "polars"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    yield from (name for name in imports(tree) if name.split(".")[0] in FORBIDDEN_MODULES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            head, _, rest = ast.unparse(node.func).partition(".")
            name = ".".join(filter(None, (known.get(head, head), rest))).removeprefix("builtins.")
            if name in FORBIDDEN_CALLS:
                yield name
            for option in node.keywords:
                if isinstance(option.value, ast.Constant) and (option.arg, option.value.value) in FORBIDDEN_OPTIONS:
                    yield f"{option.arg}={option.value.value}"


def test_the_walk_sees_the_library() -> None:
    assert len(MODULES) >= 40
    assert {"artifacts", "data.dataset", "collab.base", "llm.base"} <= MODULES.keys()


def test_every_module_has_a_layer() -> None:
    assert {name.split(".")[0] for name in MODULES} - ENTRANCES <= RANK.keys()


@pytest.mark.parametrize("name", sorted(set(MODULES) - ENTRANCES))
def test_imports_point_one_way(name: str) -> None:
    is_package = (SOURCE / name.replace(".", "/")).is_dir()
    package = ("tastemaker", *name.split("."))[: None if is_package else -1]
    layer = name.split(".")[0]
    for imported in imports(MODULES[name], package):
        parts = imported.split(".")
        if parts[0] != "tastemaker" or len(parts) == 1 or parts[1] not in RANK:
            continue
        assert RANK[parts[1]] <= RANK[layer], f"{name} imports {imported}, which is further right"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_dangerous_is_called(name: str) -> None:
    assert list(violations(MODULES[name])) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(f)",
        "from torch import load\nload(f)",
        "import torch as t\nt.load(f)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import yaml\nyaml.load(f, Loader)",
        "eval('1')",
        "import builtins\nbuiltins.exec('1')",
        "import os\nos.system('true')",
        "import subprocess\nsubprocess.run('true', shell=True)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "requests.get(x, verify=False)",
        "from tempfile import mktemp\nmktemp()",
        "def f():\n    import marshal",
    ],
)
def test_dangerous_code_would_be_seen(code: str) -> None:
    assert list(violations(ast.parse(code)))


def test_harmless_code_is_let_through() -> None:
    code = "import re, torch\nmodel.eval()\nre.compile('x')\nsafetensors.load(f)\nf(shell=False, verify=True)"
    assert list(violations(ast.parse(code))) == []


def test_an_arrow_that_points_back_would_be_seen() -> None:
    assert list(imports(ast.parse("from ..llm import base"), ("tastemaker", "data"))) == ["tastemaker.llm.base"]
    assert list(imports(ast.parse("from tastemaker import llm"))) == ["tastemaker.llm"]
    assert RANK["llm"] > RANK["data"]


@pytest.mark.parametrize("name", sorted(n for n in MODULES if not n.startswith("cli")))
def test_the_library_never_prints(name: str) -> None:
    calls = [n for n in ast.walk(MODULES[name]) if isinstance(n, ast.Call) and ast.unparse(n.func) == "print"]
    assert calls == []


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks"])
def test_files_stay_small(folder: str) -> None:
    ours = [path for path in (ROOT / folder).rglob("*.py") if ".envs" not in path.parts]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in ours}
    assert {str(path): length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_importing_tastemaker_imports_nothing_heavy() -> None:
    code = (
        "import sys, tastemaker; print([m for m in ('torch', 'polars', 'numpy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert done.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    import tastemaker

    assert tastemaker.__all__ == sorted(tastemaker.__all__)
    assert dir(tastemaker) == tastemaker.__all__
    for name in tastemaker.__all__:
        assert getattr(tastemaker, name) is not None
    with pytest.raises(AttributeError, match="Recomender"):
        _ = tastemaker.Recomender
