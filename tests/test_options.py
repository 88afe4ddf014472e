"""Options are checked before any row is read, and a bad one is named with what was expected."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from gradline.errors import InputError
from gradline_trainer import fit
from gradline_trainer.options import Options
from gradline_trainer.orchard import TARGETS, orchard

RATE = "a positive number or 'auto'"


def refusal(**options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        fit("no/such/table.csv", TARGETS, **options)  # an option is looked at first
    return caught.value


def test_the_defaults_are_the_designs() -> None:
    assert dataclasses.asdict(Options()) == {
        "epochs": 100,
        "learning_rate": "auto",
        "momentum": "auto",
        "tolerance": 1e-12,
        "seed": 0,
        "preconditioning": "whiten",
        "gradient": "auto",
        "arithmetic": "auto",
        "ridge": 0,
        "folds": None,
        "bias": True,
        "dtype": "auto",
        "missing": "auto",
        "holdout": 0,
        "robust": None,
        "device": "auto",
        "dependent": "minimum-norm",
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", 0, "a whole number from 1 to 2^63 - 1"),
        ("epochs", -3, "a whole number from 1 to 2^63 - 1"),
        ("epochs", 10.0, "a whole number from 1 to 2^63 - 1"),
        ("epochs", True, "a whole number from 1 to 2^63 - 1"),
        ("epochs", "100", "a whole number from 1 to 2^63 - 1"),
        ("seed", -1, "a whole number from 0 to 2^63 - 1"),
        ("seed", 0.5, "a whole number from 0 to 2^63 - 1"),
        ("seed", None, "a whole number from 0 to 2^63 - 1"),
        ("learning_rate", 0, RATE),
        ("learning_rate", -1e-4, RATE),
        ("learning_rate", math.inf, RATE),
        ("learning_rate", math.nan, RATE),
        ("learning_rate", True, RATE),
        ("learning_rate", "fast", RATE),
        ("learning_rate", None, RATE),
        ("momentum", 1, "a number of at least 0 and below 1, or 'auto'"),
        ("momentum", -0.1, "a number of at least 0 and below 1, or 'auto'"),
        ("momentum", "nesterov", "a number of at least 0 and below 1, or 'auto'"),
        ("tolerance", -1e-12, "a number of at least 0"),
        ("tolerance", math.inf, "a number of at least 0"),
        ("tolerance", "auto", "a number of at least 0"),
        ("ridge", -1, "a number of at least 0, or 'auto'"),
        ("ridge", math.nan, "a number of at least 0, or 'auto'"),
        ("ridge", False, "a number of at least 0, or 'auto'"),
        ("ridge", "best", "a number of at least 0, or 'auto'"),
        ("holdout", -0.1, "a number of at least 0 and below 1"),
        ("holdout", 1, "a number of at least 0 and below 1"),
        ("holdout", math.nan, "a number of at least 0 and below 1"),
        ("holdout", "10%", "a number of at least 0 and below 1"),
        ("bias", 0, "True or False"),
        ("bias", "yes", "True or False"),
        ("preconditioning", "whitening", "one of none, standardize, whiten"),
        ("preconditioning", None, "one of none, standardize, whiten"),
        ("gradient", "columns", "one of auto, rows, moments"),
        ("arithmetic", "slow", "one of auto, fast, exact"),
        ("dtype", "float16", "one of auto, float32, float64"),
        ("missing", "ignore", "one of auto, drop, mean, error"),
        ("device", "gpu", "one of cpu, cuda, auto"),
        ("device", ["cpu"], "one of cpu, cuda, auto"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(name: str, value: Any, expected: str) -> None:
    error = refusal(**{name: value})
    assert str(error) == f"{name} = {value!r}, expected {expected}"
    assert (error.code, error.exit_code) == ("bad-option", 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_absent_says_so() -> None:
    error = refusal(device="cuda")
    assert str(error) == "device = 'cuda', but PyTorch finds no CUDA device here"
    assert (error.code, error.exit_code) == ("no-cuda", 2)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("epoch", "did you mean 'epochs'?"),
        ("lerning_rate", "did you mean 'learning_rate'?"),
        ("hold_out", "did you mean 'holdout'?"),
        (
            "x",
            "known names: 'epochs', 'learning_rate', 'momentum', 'tolerance', 'seed', "
            "'preconditioning', 'gradient', 'arithmetic', …",
        ),
    ],
)
def test_an_unknown_option_suggests_the_nearest(name: str, hint: str) -> None:
    error = refusal(**{name: 1})
    assert str(error) == f"unknown option {name!r}"
    assert (error.code, error.hint) == ("unknown-option", hint)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 1},
        {"seed": 2**63 - 1},
        {"learning_rate": 1},
        {"tolerance": 0, "epochs": 3},
        {"ridge": 5, "holdout": 0.2},
        {"arithmetic": "fast", "device": "cpu", "dtype": "float32"},
    ],
    ids=str,
)
def test_values_at_the_edge_are_accepted(options: dict[str, Any]) -> None:
    found = fit(orchard(), TARGETS, **options).options
    assert found == Options(missing="error", **options)  # "auto", where no value is missing


@pytest.mark.parametrize(
    ("preconditioning", "gradient", "meant"),
    [
        ("none", "auto", "rows"),
        ("standardize", "auto", "moments"),
        ("whiten", "auto", "moments"),
        ("none", "moments", "moments"),
        ("whiten", "rows", "rows"),
    ],
)
def test_auto_takes_rows_without_preconditioning_and_moments_otherwise(
    preconditioning: Any, gradient: Any, meant: str
) -> None:
    assert Options(preconditioning=preconditioning, gradient=gradient).gradient_source == meant


@pytest.mark.parametrize(
    ("options", "float32"),
    [
        ({"preconditioning": "none"}, True),
        ({"preconditioning": "none", "dtype": "float32"}, True),
        ({"preconditioning": "none", "dtype": "float64"}, False),
        ({"preconditioning": "none", "gradient": "moments"}, False),
        ({"preconditioning": "standardize", "gradient": "rows"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_the_loop_runs_in_float32_only_where_the_tutorials_does(
    options: dict[str, Any], float32: bool
) -> None:
    history = fit(orchard(), TARGETS, epochs=3, tolerance=0, **options).history
    assert all(loss == float(np.float32(loss)) for loss in history) == float32


def test_numpys_numbers_are_taken_as_pythons() -> None:
    options = Options(epochs=np.int64(5), learning_rate=np.float32(0.5), ridge=np.float64(1))  # type: ignore[arg-type]
    numbers = (options.epochs, options.learning_rate, options.ridge)
    assert numbers == (5, 0.5, 1.0)
    assert [type(number) for number in numbers] == [int, float, float]


def test_a_number_beyond_float64_is_refused() -> None:
    assert "expected a number of at least 0" in str(refusal(ridge=10**400))
