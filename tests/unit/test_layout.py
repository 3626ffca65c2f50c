"""The folders follow the flow of the data. Imports go with the flow, never against it, and never in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pseudofeed

PACKAGE = Path(pseudofeed.__file__).parent
SOURCES = Path(__file__).parents[2] / "src" / "pseudofeed"  # the wheel has no Cython

# From the bottom to the top. A module may import from its own folder and from those before it.
FLOW = [
    *("errors", "times", "toml_file", "settings", "operate"),
    *("random", "market", "records", "encode", "simulate"),
    *("bus", "publish", "consume", "store", "cache", "query", "verify", "servers", "commands", "cli"),
]
# `Market.simulate` and `.stream` import the simulation when they are called; both name its types.
EXCEPTIONS = {("market.market", "simulate")}


# `from a.b import c`, `from a.b cimport c`, `import a.b`, `cimport a.b`, one a line.
CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<origin>[\w.]+)\s+c?import\s+(?P<names>[^#\n]+)|c?import\s+(?P<module>[\w.]+))", re.M
)


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        if name not in ("__init__", "__main__"):
            yield name, path


def cython_modules() -> Iterator[tuple[str, Path]]:
    for path in sorted([*SOURCES.rglob("*.pyx"), *SOURCES.rglob("*.pxd")]):
        yield path.relative_to(SOURCES).with_suffix("").as_posix().replace("/", "."), path


def cimported(text: str) -> Iterator[str]:
    """The modules of the package that a Cython file imports or cimports."""
    for match in CYTHON_IMPORT.finditer(text):
        module = match["origin"] or match["module"]
        if module == "pseudofeed":
            yield from (name.split()[0] for name in match["names"].strip("() ").split(",") if name.strip())
        elif module.startswith("pseudofeed."):
            yield module.removeprefix("pseudofeed.")


def imported(path: Path, *, at_once: bool) -> Iterator[str]:
    """The modules of the package that a file imports; at_once: only those that its own import runs."""
    tree = ast.parse(path.read_text())
    nodes: Iterator[ast.AST] = _run_at_import(tree) if at_once else ast.walk(tree)
    for node in nodes:
        names = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [node.module, *(name for name in inner if _exists(name))]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.removeprefix("pseudofeed.") for name in names if name.startswith("pseudofeed."))


def _exists(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").exists() or path.is_dir()


def _run_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not typing_only and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


def against_the_flow(name: str, others: Iterable[str]) -> list[str]:
    own = name.split(".")[0]
    found = []
    for other in others:
        folder = other.split(".")[0]
        if folder.startswith("_") or own.startswith("_") or (name, folder) in EXCEPTIONS:
            continue
        if FLOW.index(folder) > FLOW.index(own):
            found.append(f"{name} imports {other}")
    return found


def test_imports_go_with_the_flow() -> None:
    against = []
    for name, path in modules():
        against += against_the_flow(name, imported(path, at_once=False))
    assert against == []


def test_cython_modules_import_with_the_flow() -> None:
    found = {name: list(cimported(path.read_text())) for name, path in cython_modules()}
    assert "encode._messages" in found["encode._blocks"]
    against = []
    for name, others in found.items():
        against += against_the_flow(name, others)
    assert against == []
    # Each form is seen.
    text = "from pseudofeed.store.history cimport a\nimport pseudofeed.query\nfrom pseudofeed import verify, cache\n"
    assert against_the_flow("encode._blocks", cimported(text)) == [
        f"encode._blocks imports {other}" for other in ("store.history", "query", "verify", "cache")
    ]


def test_no_module_imports_itself_by_way_of_others() -> None:
    # A package that only gives out its modules' names (`__init__`) is no circle with them.
    needs = {
        name: {other for other in imported(path, at_once=True) if not name.startswith(f"{other}.")}
        for name, path in modules()
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle of imports: {' -> '.join([*way, name])}"
        if name in done or name not in needs:
            return
        for other in sorted(needs[name]):
            visit(other, (*way, name))
        done.add(name)

    for name in needs:
        visit(name, ())


def test_files_of_a_run_do_not_import_the_run() -> None:
    """`Paths` calls what writes and draws; neither imports it back, inside a function or for a type either."""
    called = {"simulate.plot", "simulate.progress"}
    called |= {name for name, _ in modules() if name.startswith("simulate.files.")}
    back = [
        f"{name} imports {other}"
        for name, path in modules()
        for other in imported(path, at_once=False)
        if name in called and other in ("simulate.paths", "simulate.export", "simulate.stream")
    ]
    assert back == []
