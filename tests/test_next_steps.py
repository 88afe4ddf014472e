"""What an error tells to do next is the right thing to do."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
import scipy.sparse

import gradline
from gradline_trainer import fit
from odd import command, package_of_rows, refusal


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a and b."""
    return package_of_rows(tmp_path_factory.mktemp("p"))


@pytest.fixture(scope="module")
def model(package: Path) -> gradline.Model:
    return gradline.load(package)


def test_a_name_that_only_looks_alike_gets_a_hint_about_its_spelling(model: gradline.Model) -> None:
    composed, decomposed = (normalize(form, "Köln") for form in ("NFC", "NFD"))
    told = (
        r"'K\xf6ln' has the same letters, but Unicode spells them differently: 'Ko\u0308ln'; "
        "write both in composed form (NFC)"
    )
    table = {composed: [1.0, 2, 4], "y": [1.0, 2, 3]}
    assert refusal(lambda: fit(table, "y", features=[decomposed])).hint == told
    cities = {"city": [composed, "Bonn", "Bonn"], "y": [1.0, 2, 3]}
    learned = fit(cities, "y", one_hot="city")
    assert learned.features == ["city=Köln"]
    assert gradline.errors.nearest(decomposed, [composed, "Bonn"]) == told


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (["a", "c"], "unknown feature 'c'", "known names: 'b'"),
        (["a", "b", "bb"], "unknown feature 'bb'", "leave it out: all are there"),
        (["a"], "the feature 'b' is missing", "add the column 'b'"),
    ],
)
def test_a_suggestion_is_no_name_that_is_given_already(
    given: list[str], message: str, hint: str, model: gradline.Model
) -> None:
    error = refusal(lambda: model.predict({name: [1.0] for name in given}))
    assert (str(error), error.hint) == (message, hint)


def test_a_columns_suggestion_is_no_target_and_no_feature_that_is_chosen() -> None:
    table = {"a": [1.0, 2, 3], "b": [1.0, 0, 1], "y": [1.0, 2, 4]}
    assert refusal(lambda: fit(table, "y", features=["a", "yy"])).hint == "known names: 'b'"
    assert refusal(lambda: fit(table, "y", features=["a", "b", "aa"])).hint == "leave it out"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--lasso", "No such option '--lasso'."),
        ("--formt", "No such option '--formt'. Did you mean '--format'?"),
    ],
)
def test_an_option_is_suggested_where_its_name_is_near(
    option: str, message: str, package: Path
) -> None:
    said = command("predict", package, "t.csv", option, "1")[1]
    assert said == f"Error: {message}\n  gradline predict --help shows the options\n"


@pytest.mark.parametrize(
    "address", ["s3://bucket/model", "gs://bucket/model/1", "https://h/m.onnx"]
)
def test_an_address_is_told_to_be_none_that_packages_are_loaded_from(address: str) -> None:
    for place in (address, Path(address)):
        error = refusal(lambda place=place: gradline.load(place))  # type: ignore[misc]
        assert str(error) == f"{address} is an address: packages can only be loaded from folders"
        assert error.hint == "copy the package to this machine and load the copy"
    assert command("inspect", address)[1].startswith(f"Error: {address} is an address")


def test_a_sparse_matrix_that_is_not_the_features_is_refused_by_name(
    model: gradline.Model,
) -> None:
    X = scipy.sparse.csr_matrix(np.eye(4, 2))
    y = [1.0, 2.0, 3.0, 4.0]
    for act, what in (
        (lambda: fit((X.toarray(), X[:, :1])), "Y"),
        (lambda: fit((X.toarray(), y), sample_weight=X[:, :1]), "sample_weight"),
        (lambda: fit({"a": X[:, :1], "y": y}, "y"), "a column"),
        (lambda: model.predict(X), "the rows"),
        (lambda: model.predict({"a": X[:, :1], "b": X[:, :1]}), "the column 'a'"),
    ):
        error = refusal(act)
        assert str(error) == (
            f"{what}: a scipy sparse matrix (csr_matrix) is not accepted, expected a dense array"
        )
        assert error.hint == "make it dense: matrix.toarray()"


def test_a_level_of_rows_without_weight_is_as_if_it_were_not_there() -> None:
    table = {
        "city": ["A", "B"] * 6 + ["Z"],
        "b": [i * i % 7 for i in range(12)] + [1],
        "w": [1.0] * 12 + [0.0],
        "y": [3.0 * i for i in range(12)] + [5.0],
    }
    learned = fit(table, "y", one_hot="city", sample_weight="w")
    assert (learned.warnings, learned.rows_dropped, learned.features) == ([], 0, ["city=B", "b"])
