"""The house's names: words that say nothing are banned, and the verb tells the floor."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "penstock"
SAYS_NOTHING = {"util", "utils", "helper", "helpers", "manager", "common", "base", "misc"}
STORE_VERBS = ("insert_", "lock_", "claim_")


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(SOURCES.rglob("*.py"))


def words(name: str) -> set[str]:
    """`FlowRunManager` and `flow_run_manager` in single words."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+", name)}


def definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The functions, methods and classes of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node


def test_no_file_or_class_has_a_name_that_says_nothing() -> None:
    files = [path for path in modules() if words(path.stem) & SAYS_NOTHING]
    classes = [
        f"{path.name}: {node.name}"
        for path in modules()
        for node in definitions(path)
        if isinstance(node, ast.ClassDef) and words(node.name) & (SAYS_NOTHING - {"base"})
    ]
    assert (files, classes) == ([], [])


def test_verbs_of_the_store_are_used_in_the_store_only() -> None:
    elsewhere = [
        f"{path.relative_to(SOURCES)}: {node.name}"
        for path in modules()
        if "store" not in path.relative_to(SOURCES).parts
        for node in definitions(path)
        if not isinstance(node, ast.ClassDef) and node.name.startswith(STORE_VERBS)
    ]
    assert elsewhere == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCES)))
def test_a_module_says_what_lives_in_it(path: Path) -> None:
    source = path.read_text()
    if path.name == "__init__.py" and not source.strip():
        return
    assert ast.get_docstring(ast.parse(source))


def test_no_file_and_no_function_grows_beyond_what_one_can_hold_in_mind() -> None:
    # A list of tables or of calls may be longer than a thought; a migration is never read twice.
    files = [p for p in modules() if len(p.read_text().splitlines()) > 600]
    functions = [
        f"{path.relative_to(SOURCES)}: {node.name}"
        for path in modules()
        if "migrations" not in path.parts
        for node in definitions(path)
        if not isinstance(node, ast.ClassDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= 80
    ]
    assert [str(p.relative_to(SOURCES)) for p in files] == []
    assert functions == []
