"""A manifest that was sealed again with anything in any place is refused, or all commands work."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gradline
from gradline.commands.group import run
from gradline.package.manifest import OF_TRAINING, parse_manifest
from gradline_export import export_package
from gradline_trainer import fit
from gradline_trainer.orchard import FEATURES, ROWS, TARGETS, orchard
from hostile.case import sealed

Document = dict[str, Any]
Place = tuple[Any, ...]
WRONG: list[Any] = [
    None,
    True,
    -1,
    10**400,
    2**70,
    1.7e308,
    "text",
    "",
    [],
    [[]],
    {},
    {"mean": "text"},
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with every member that a manifest may have."""
    root = tmp_path_factory.mktemp("artifacts")
    learned = fit(orchard(), TARGETS)
    return export_package(learned, root, "orchard", intervals=True, notes={"author": "someone"})


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of a model that scikit-learn learned."""
    from sklearn.linear_model import LinearRegression

    rows = pd.DataFrame(ROWS, columns=FEATURES + TARGETS)
    learned = LinearRegression().fit(rows[FEATURES], rows[TARGETS])
    root = tmp_path_factory.mktemp("elsewhere")
    return export_package(learned, root, "orchard", targets=TARGETS, notes={"author": "someone"})


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    """Yield where a document's values stand, containers included; of a list's the first alone."""
    if above:
        yield above
    if isinstance(value, dict):
        inside = list(value.items())
    else:
        inside = list(enumerate(value[:1])) if isinstance(value, list) else []
    for key, inner in inside:
        yield from places(inner, (*above, key))


def holder(document: Document, place: Place) -> Any:
    """Return the container that has the value of a place."""
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    return inner


def replaced(document: Document, place: Place, value: Any) -> bytes:
    """Return the bytes of a manifest with another value at a place, sealed."""
    inner = holder(document, place)
    before, inner[place[-1]] = inner[place[-1]], value
    try:
        return sealed(json.dumps(document, indent=1))
    finally:
        inner[place[-1]] = before


def unsealed(package: Path) -> Document:
    document: Document = json.loads((package / "manifest.json").read_bytes())
    del document["seal"]
    return document


def use(package: Path, other: Path, rows: Path) -> None:
    """Do with a package all that reads its manifest; what is no GradlineError is raised."""
    from gradline.serve.protocol.metadata import model_metadata
    from gradline.serve.protocol.openapi import document
    from gradline.serve.protocol.served_model import ServedModel

    served = ServedModel(gradline.load(package))
    json.dumps(model_metadata(served, ["1"]), allow_nan=False)
    json.dumps(document({"orchard": (served, ["1"])}), allow_nan=False)
    for arguments in (
        ["list", str(package.parent)],
        ["inspect", str(package)],
        ["diff", str(package), str(other), "--data", str(rows)],
        ["diff", str(other), str(package), "--json"],
        ["predict", str(package), str(rows), "--explain", "--check", "--json"],
        ["predict", str(package), str(rows), "--intervals", "--json"],
    ):
        out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            assert run(arguments) in (0, 1, 2)


def accepted(package: Path) -> Iterator[bytes]:
    """Yield the manifests, with each value at each place, that are not refused."""
    document = unsealed(package)
    for place in places(document):
        for value in WRONG:
            data = replaced(document, place, value)
            with contextlib.suppress(gradline.PackageError):
                parse_manifest(data)
                yield data


def prepared(package: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return a copy of the package to forge, another model, and a table."""
    rows = tmp_path / "rows.csv"
    rows.write_text("temperature,rainfall,humidity\n70,80,50\n900,1,1\n")
    other = export_package(fit(orchard(), TARGETS, ridge=1), tmp_path / "other", "orchard")
    return Path(shutil.copytree(package, tmp_path / "orchard" / "1")), other, rows


def test_what_a_resealed_manifest_may_say_anywhere_is_refused_or_works(
    package: Path, tmp_path: Path
) -> None:
    forged, other, rows = prepared(package, tmp_path)
    for data in islice(accepted(package), 0, None, 47):  # all of it takes long: see below
        (forged / "manifest.json").write_bytes(data)
        with contextlib.suppress(gradline.PackageError):
            use(forged, other, rows)


def test_what_a_resealed_manifest_says_of_its_origin_is_refused_or_works(
    package: Path, elsewhere: Path, tmp_path: Path
) -> None:
    _, other, rows = prepared(package, tmp_path)
    forged = Path(shutil.copytree(elsewhere, tmp_path / "elsewhere" / "orchard" / "1"))
    for data in islice(accepted(elsewhere), 0, None, 13):
        (forged / "manifest.json").write_bytes(data)
        with contextlib.suppress(gradline.PackageError):
            use(forged, other, rows)


@pytest.mark.parametrize("origin", [None, {}, {"learned": "elsewhere"}])
@pytest.mark.parametrize("gone", [*((member,) for member in OF_TRAINING), ("parity",), OF_TRAINING])
def test_a_manifest_without_members_is_refused_or_works(
    gone: tuple[str, ...], origin: Any, package: Path, tmp_path: Path
) -> None:
    forged, other, rows = prepared(package, tmp_path)
    document = {k: v for k, v in unsealed(package).items() if k not in gone}
    document |= {} if origin is None else {"origin": origin}
    (forged / "manifest.json").write_bytes(sealed(json.dumps(document, indent=1)))
    with contextlib.suppress(gradline.PackageError):
        use(forged, other, rows)


@pytest.mark.slow
def test_whatever_a_resealed_manifest_says_anywhere_is_refused_or_works(
    package: Path, tmp_path: Path
) -> None:
    forged, other, rows = prepared(package, tmp_path)
    for data in accepted(package):
        (forged / "manifest.json").write_bytes(data)
        with contextlib.suppress(gradline.PackageError):
            use(forged, other, rows)


def test_what_no_number_of_float64_can_hold_is_no_manifest(package: Path) -> None:
    with pytest.raises(gradline.PackageError) as caught:
        parse_manifest(replaced(unsealed(package), ("training", "rows", "trained"), 10**400))
    assert str(caught.value) == "manifest.json cannot be read as JSON (a number is beyond float64)"


@pytest.mark.parametrize(
    ("place", "value", "wrong"),
    [
        ("columns.rainfall.mean", "text", "a number or null"),
        ("columns.rainfall", [[]], "an object"),
        ("training.rows.trained", "5", "a whole number"),
        ("training.options.bias", 1, "true or false"),
        ("metrics.training.apples.r2", [[]], "a number or null"),
        ("leverage.factor", [1.0], "a list"),
        ("parity.within", "PyTorch", "a list"),
        ("training.notes.author", {}, "text"),
    ],
)
def test_a_value_of_another_kind_is_told_by_its_place(
    place: str, value: Any, wrong: str, package: Path
) -> None:
    with pytest.raises(gradline.PackageError) as caught:
        parse_manifest(replaced(unsealed(package), tuple(place.split(".")), value))
    assert caught.value.code == "bad-manifest"
    assert str(caught.value) == (f"manifest.json is not a valid manifest: {place!r} is not {wrong}")


def test_a_member_that_a_later_gradline_adds_is_ignored(package: Path) -> None:
    document = unsealed(package)
    document["groups"] = [[]]
    document["training"]["lasso"] = {"path": [1, "2"]}
    assert parse_manifest(sealed(json.dumps(document, indent=1)))["groups"] == [[]]
