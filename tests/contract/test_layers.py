"""The arrows between the parts: who may import whom, read from the sources without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from template import ROOT

PARTS = ("spaceport", "services", "functions")
SERVICES = ("sfm", "train", "compress")
FOLDERS = """
spaceport/pipeline/uploads spaceport/pipeline/jobs spaceport/pipeline/stages
spaceport/simd spaceport/splats/render spaceport/splats/formats spaceport/splats/sog
spaceport/local spaceport/demo spaceport/cli
functions/intake functions/tracker functions/notify functions/api functions/sweeper
services/sfm/photos services/sfm/capture services/sfm/colmap services/sfm/georeference services/sfm/prior_model
services/sfm/report services/train services/compress/rate_control services/compress/proving
services/compress/report_page
events tests/unit tests/contract tests/integration tests/numeric tests/browser tests/fuzz tests/gpu
benchmarks docs/decisions docs/measured
"""

# Who, and what it must never import. A package stands for all that is in it.
FORBIDDEN = [
    ("spaceport.splats", "spaceport.pipeline"),
    ("spaceport.simd", "spaceport.pipeline"),
    ("spaceport.pipeline.jobs", "spaceport.progress"),
    ("spaceport", "services"),
    ("spaceport", "functions"),
    ("functions", "services"),
    *((f"services.{one}", f"services.{other}") for one in SERVICES for other in SERVICES if one != other),
]
# Who, and all of our own that it may import besides itself.
ALLOWED = [
    ("spaceport.simd", ()),
    ("functions", ("spaceport.pipeline",)),
]


@cache
def sources() -> dict[str, Path]:
    """Every module of ours, by its dotted name."""
    files = [path for part in PARTS for path in (ROOT / part).rglob("*.py")]
    return {".".join(_dotted(path.relative_to(ROOT))): path for path in files}


def _dotted(path: Path) -> tuple[str, ...]:
    return path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts


@cache
def imports() -> dict[str, set[str]]:
    """For each module those of ours that it imports, also inside functions and for type checkers alone."""
    return {name: set(_imported(name, path)) & sources().keys() for name, path in sources().items()}


def _imported(name: str, path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                member = f"{origin}.{alias.name}"
                yield member if member in sources() else origin


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def arrows(origin: str) -> list[tuple[str, str]]:
    """All imports of ours from within a package, as pairs of modules."""
    return [(module, other) for module, others in imports().items() if within(module, origin) for other in others]


def test_the_walk_sees_imports_of_every_form() -> None:
    """Otherwise the tests below would hold for an empty list too."""
    assert "spaceport.pipeline.layout" in imports()["spaceport.pipeline.stages.worker"]  # from a package, a module
    assert "spaceport.pipeline.storage" in imports()["spaceport.pipeline.stages.worker"]  # from a module, a class
    assert "spaceport.pipeline.stages.worker" in imports()["spaceport.pipeline.stages.main"]  # inside a function
    assert all(arrows(origin) for origin, _ in FORBIDDEN)


@pytest.mark.parametrize(("origin", "target"), FORBIDDEN)
def test_what_must_never_import_what(origin: str, target: str) -> None:
    assert [arrow for arrow in arrows(origin) if within(arrow[1], target)] == []


@pytest.mark.parametrize(("origin", "targets"), ALLOWED)
def test_what_imports_nothing_else_of_ours(origin: str, targets: tuple[str, ...]) -> None:
    strangers = [
        arrow for arrow in arrows(origin) if not any(within(arrow[1], allowed) for allowed in (origin, *targets))
    ]
    assert strangers == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("folder", FOLDERS.split())
def test_the_house_has_its_rooms(folder: str) -> None:
    assert (ROOT / folder).is_dir()
