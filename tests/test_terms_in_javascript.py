"""terms.js computes what `Plan.compute` does, and answers raw golden rows within their bounds."""

from __future__ import annotations

import json
import subprocess
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from gradline.columns.calendar import FIRST, LAST
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor
from hosts import need
from raw_rows import PLAN, RawModel, raw_rows, values_of

pytestmark = pytest.mark.slow

# Reads [calls] of a function of terms.js from stdin, and writes its answers.
SCRIPT = """
await import(process.argv[1]);
const { name, calls } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const words = (value) => (Number.isFinite(value) ? value : String(value));
const answers = calls.map((call) => gradline[name](...call).map(words));
console.log(JSON.stringify(answers));
"""


def call(name: str, calls: list[list[Any]]) -> Any:
    """Call a function of terms.js in Node.js, once for each list of arguments."""
    terms = files("gradline.presentation").joinpath("terms.js")
    script = f"(async () => {{ {SCRIPT} }})()"
    done = subprocess.run(
        [need("node"), "-e", script, str(terms)],
        input=json.dumps({"name": name, "calls": calls}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout), np.float64)


def inputs(plan: Plan, rows: list[list[Any]]) -> Any:
    """Compute the terms in JavaScript, shape (n, d)."""
    schema = plan.dump()
    return call("inputs", [[schema["columns"], schema["terms"], row] for row in rows])


@pytest.mark.parametrize("seed", range(3))
def test_terms_are_those_of_the_plan(seed: int) -> None:
    rows = raw_rows(400, seed, answered=False)
    expected = PLAN.compute(values_of(rows))
    found = inputs(PLAN, [list(row) for row in zip(*rows.values(), strict=True)])
    assert np.isnan(expected).any(axis=0).sum() > 20
    rounded = [any(f.function in ("log", "log1p") for f in term) for term in PLAN.terms]
    np.testing.assert_array_equal(found[:, ~np.array(rounded)], expected[:, ~np.array(rounded)])
    np.testing.assert_allclose(found, expected, rtol=2**-50, atol=0)


def test_every_way_to_miss_a_value_is_the_same() -> None:
    missing = inputs(PLAN, [[None] * 9, [""] * 9])
    np.testing.assert_array_equal(missing[0], missing[1])
    rows = {column.name: [None] for column in PLAN.columns}
    np.testing.assert_array_equal(missing[:1], PLAN.compute(values_of(rows)))


def test_the_calendar_is_pythons() -> None:
    parts = {"month": range(1, 13), "weekday": range(7), "hour": range(24)}
    terms = [(Factor("at", name, level=n),) for name, of in parts.items() for n in of]
    plan = Plan((Column("at", "time"),), tuple(terms))
    random = np.random.default_rng(0)
    years = np.arange(1, 10_000).astype("datetime64[Y]") - 1970
    ends = np.concatenate([
        (np.datetime64(f"{year:04}-03-01", "s") - np.array([0, 1, 86_400])).astype(np.int64)
        for year in (1, 4, 100, 1600, 1900, 1970, 2000, 2024, 2100, 9999)
    ])  # fmt: skip
    seconds = np.concatenate([
        random.integers(FIRST, LAST, 5000), ends, years.astype("datetime64[s]").astype(np.int64),
    ])  # fmt: skip
    seconds = seconds[(seconds >= FIRST) & (seconds <= LAST)].astype(np.float64)
    found = inputs(plan, [[second] for second in seconds.tolist()])
    np.testing.assert_array_equal(found, plan.compute(seconds[:, None]))


def test_a_level_that_is_named_as_the_rare_ones_are() -> None:
    own = Column("c", "category", ("(rare)", "a", "b", "c"), "a", rare=("b", "c"))
    plan = Plan((own,), ((Factor("c", level="(rare)"),),))
    found = inputs(plan, [["(rare)"], ["a"], ["b"], ["c"]])
    places = np.array([[own.places[level]] for level in own.levels], np.float64)
    np.testing.assert_array_equal(found, plan.compute(places))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(3))
def test_raw_golden_rows_are_answered_within_their_bounds(dtype: str, seed: int) -> None:
    document = RawModel.of(dtype, seed).document
    schema, raw = document["schema"], document["raw"]
    rows = [list(row) for row in zip(*raw["columns"].values(), strict=True)]
    x = call("inputs", [[schema["columns"], schema["terms"], row] for row in rows])
    z = x.astype(dtype).astype(np.float64) @ np.array(document["weights"]).T + document["bias"]
    found = call("inUnits", [[row, schema["target_functions"]] for row in z.tolist()])
    shares = np.abs(found.astype(dtype) - raw["outputs"]) / raw["bounds"]
    assert shares.max() <= 1


def test_ends_of_intervals_are_not_scaled() -> None:
    functions = RawModel.of("float64", 0).document["schema"]["target_functions"]
    found = call("inUnits", [[[2.0, 2.0, 2.0], functions, False]])
    np.testing.assert_allclose(found[0], [2.0, np.exp(2.0), np.exp(2.0) - 1], rtol=1e-15)
