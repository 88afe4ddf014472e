"""Moments that outlive their table: saved, merged, subtracted and learned from."""

from __future__ import annotations

import hashlib
import html
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gradline import load
from gradline.cli import main
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.errors import InputError, OutputError, PackageError
from gradline_export import export_package
from gradline_export.freeze.freezing import freeze
from gradline_trainer import Fit, fit, load_moments, save_moments
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.columns import Columns
from gradline_trainer.saved.algebra import MOST, merge_moments, subtract_moments
from gradline_trainer.saved.files import dump, parse_moments

Array = NDArray[np.float64]
Run = Callable[..., tuple[int, str, str]]

RNG = np.random.default_rng(7)
modest = settings(max_examples=60, deadline=None)


def frame(rows: int, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3)) * [1, 20, 0.01] + [0, 1e5, 3]
    y = x @ np.array([[2.0, -1], [0.5, 3], [40, 0]]) + random.normal(size=(rows, 2))
    columns = dict(zip(("a", "b", "c", "y", "z"), np.c_[x, y].T, strict=True))
    shop = ["north", "south", "south", "east"] * (rows // 4 + 1)
    weight = random.uniform(0.5, 2, rows)
    return pl.DataFrame({**columns, "shop": shop[:rows], "weight": weight})


def saved_of(values: Array, weights: Array | None = None, **counts: int) -> SavedMoments:
    """What would be saved of a matrix whose last column is the target."""
    names = [f"x{j}" for j in range(values.shape[1])]
    weight = None if weights is None else "w"
    columns = Columns(Plan.of_columns(list(map(Column, names[:-1]))), names[-1:], weight, [])
    n = len(values)
    counts = {"rows_read": n, "rows_dropped": 0, "rows_held_out": 0, "filled": 0} | counts
    return SavedMoments(Moments.of(values, weights), [], columns, **counts)


def assert_same(one: SavedMoments, other: SavedMoments) -> None:
    """Bit for bit."""
    assert replace(one, moments=other.moments, folds=other.folds, file=None) == replace(
        other, file=None
    )
    for a, b in zip((one.moments, *one.folds), (other.moments, *other.folds), strict=True):
        for name, value in vars(a).items():
            np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)


def assert_same_model(one: Fit, other: Fit) -> None:
    assert one.features == other.features
    assert one.targets == other.targets
    assert one.weights.numpy().tobytes() == other.weights.numpy().tobytes()
    assert one.bias.numpy().tobytes() == other.bias.numpy().tobytes()
    assert one.history == other.history


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls a command in an empty folder: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def keep(table: Any, *names: Any, **options: Any) -> Fit:
    return fit(table, *names, keep_moments=True, **options)


# The file


@st.composite
def tables(draw: st.DrawFn, least: int = 1) -> Array:
    """Rows whose columns have offsets of their own, large beside their spread."""
    n, p = draw(st.integers(least, 12)), draw(st.integers(2, 4))
    sixteenths = st.integers(-1600, 1600).map(lambda whole: whole / 16)
    rows = draw(arrays(np.float64, (n, p), elements=sixteenths))
    return rows + draw(arrays(np.float64, p, elements=st.sampled_from([0, 1 / 3, -1e3, 1e6])))


@given(tables(), st.booleans())
@modest
def test_what_is_written_is_what_is_read(rows: Array, weighted: bool) -> None:
    weights = np.linspace(0.1, 3, len(rows)) if weighted else None
    saved = saved_of(rows, weights)
    data = b"".join(dump(saved))
    assert_same(parse_moments(data, "t"), saved)
    assert b"".join(dump(parse_moments(data, "t"))) == data


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"ridge": 3.0},
        {"ridge": "auto", "folds": 4},
        {"preconditioning": "standardize", "epochs": 40},
        {"sample_weight": "weight"},
        {"one_hot": "shop"},
        {"one_hot": "shop", "ridge": 1.0, "sample_weight": "weight"},
        {"missing": "mean"},
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [200, 60_000])
def test_learning_from_moments_gives_the_bits_of_learning_from_rows(
    tmp_path: Path, rows: int, options: dict[str, Any]
) -> None:
    table = frame(rows)
    if "missing" in options:
        table = table.with_columns(b=pl.when(pl.col("a") < 1).then(pl.col("b")))
    chosen = {"features": ["a", "b", "c", *["shop"] * ("one_hot" in options)]}
    save_moments(keep(table, ["y", "z"], **chosen, **options), tmp_path / "t.moments")
    of_rows = fit(table, ["y", "z"], **chosen, **options, arithmetic="fast")
    for name in ("sample_weight", "one_hot", "missing"):
        options.pop(name, None)
    of_moments = fit(load_moments(tmp_path / "t.moments"), **options)
    assert_same_model(of_moments, of_rows)
    assert of_moments.arithmetic.used == "fast"
    for name in ("plan", "targets", "weight"):
        assert getattr(of_moments.columns, name) == getattr(of_rows.columns, name)
    assert of_moments.rows_read == of_rows.rows_read
    if not of_rows.options.ridge:
        assert of_moments.summary().residual_dof == of_rows.summary().residual_dof
    if of_rows.ridge_path:
        assert of_moments.ridge_path == of_rows.ridge_path


def test_what_exact_arithmetic_learned_from_is_saved_as_it_was_gathered(tmp_path: Path) -> None:
    exact = keep(frame(100), "y", ["a", "b"])
    assert exact.exact is not None
    save_moments(exact, tmp_path / "exact")
    save_moments(keep(frame(100), "y", ["a", "b"], arithmetic="fast"), tmp_path / "fast")
    assert (tmp_path / "exact").read_bytes() == (tmp_path / "fast").read_bytes()


def test_rows_that_were_dropped_or_held_out_are_counted(tmp_path: Path) -> None:
    table = frame(400).with_columns(a=pl.when(pl.col("a") < 2).then(pl.col("a")))
    direct = keep(table, "y", ["a", "b"], missing="drop", holdout=0.25, arithmetic="fast")
    save_moments(direct, tmp_path / "t")
    found = fit(load_moments(tmp_path / "t"))
    assert_same_model(found, direct)
    counts = (found.rows_read, found.rows_dropped, found.rows_held_out)
    assert counts == (direct.rows_read, direct.rows_dropped, direct.rows_held_out)
    assert found.rows_dropped > 0 < found.rows_held_out
    assert found.metrics["held_out"] is None
    assert any("dropped" in warning for warning in found.warnings)


def test_other_columns_can_be_chosen_among_the_saved(tmp_path: Path) -> None:
    table = frame(300)
    save_moments(keep(table, ["y", "z"], ["a", "shop", "b"], one_hot="shop"), tmp_path / "t")
    saved = load_moments(tmp_path / "t")
    assert fit(saved, "y").features == ["a", "shop=east", "shop=north", "b"]
    assert fit(saved, "y", exclude="shop").features == ["a", "b"]
    found = fit(saved, "a", ["z", "b"])
    assert (found.features, found.targets) == (["z", "b"], ["a"])
    expected = fit(table, "a", ["z", "b"]).weights
    np.testing.assert_allclose(found.weights, expected, rtol=1e-9)
    for wrong, message in (
        ({"features": "d"}, "unknown feature 'd'"),
        ({"targets": "yy"}, "unknown target 'yy'"),
        ({"targets": "a", "features": "a"}, "'a' is named as target and as feature"),
        ({"targets": "shop"}, "'shop' can't be a target"),
        ({"exclude": ["a", "b", "shop"]}, "no feature is left"),
    ):
        with pytest.raises(InputError, match=message):
            fit(saved, **wrong)


# What is no file of saved moments


def sealed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


def file_with(saved: SavedMoments, numbers: Callable[[Array], None] | None = None, **header: Any):
    """A file whose header or numbers were changed before it was sealed."""
    data = b"".join(dump(saved))[:-32]
    first, second, body = data.split(b"\n", 2)
    values = np.frombuffer(body, "<f8").copy()
    if numbers is not None:
        numbers(values)
    changed = json.dumps({**json.loads(second), **header}).encode()
    return sealed(b"\n".join([first, changed, values.tobytes()]))


GOOD = saved_of(RNG.normal(size=(20, 3)))
P = 3  # its columns; the numbers are weight, mean, rest, least, most, and the triangle


def at(place: int, value: float) -> Callable[[Array], None]:
    return lambda numbers: numbers.__setitem__(place, value)


BAD: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "not-moments", "is not a file of saved moments"),
    "a table": (b"a,b,y\n1,2,3\n", "not-moments", "is not a file of saved moments"),
    "a pickle": (pickle.dumps(GOOD), "not-moments", "is not a file of saved moments"),
    "newer": (sealed(b"gradline moments 3\n{}\n"), "newer-format", "format 3, .* reads format 2"),
    "cut short": (b"".join(dump(GOOD))[:-1], "broken-seal", "incomplete or was changed"),
    "longer": (b"".join(dump(GOOD)) + b"\0", "broken-seal", "incomplete or was changed"),
    "no JSON": (
        sealed(b"gradline moments 1\nx\n"),
        "bad-moments",
        "not a valid file of",
    ),
    "no object": (
        sealed(b"gradline moments 1\n[1]\n"),
        "bad-moments",
        "not a valid file of",
    ),
    "nested": (sealed(b"gradline moments 1\n" + b"[" * 90_000 + b"\n"), "bad-moments", "moments"),
    "nothing": (
        sealed(b"gradline moments 1\n{}\n"),
        "bad-moments",
        "not a valid file of",
    ),
    "other shapes": (file_with(GOOD, features=["x0"]), "bad-moments", "bytes of numbers"),
    "no target": (file_with(GOOD, targets=[]), "bad-moments", "no features or no targets"),
    "twice": (file_with(GOOD, targets=["x1"]), "bad-moments", "a name occurs twice"),
    "a number's name": (file_with(GOOD, features=["x0", 1]), "bad-moments", "a name is not text"),
    "columns": (file_with(GOOD, columns=[{}]), "bad-moments", "no known kind"),
    "a count": (file_with(GOOD, filled=-1), "bad-moments", "invalid count -1"),
    "many sets": (file_with(GOOD, moments=[]), "bad-moments", "invalid list of moments"),
    "no rounding": (file_with(GOOD, rounding=1.0), "bad-moments", "rounding"),
    "fewer rows": (
        file_with(GOOD, rows={"read": 19, "dropped": 0, "held_out": 0}),
        "bad-moments",
        "20 training rows, of 19",
    ),
    "a weight": (file_with(GOOD, at(0, 21.0)), "bad-moments", "20 rows of total weight 21"),
    "NaN": (file_with(GOOD, at(-1, np.nan)), "bad-moments", "a co-moment of 'x2' is not finite"),
    "infinite": (file_with(GOOD, at(2, np.inf)), "bad-moments", "a mean of 'x1' is not finite"),
    "a range": (file_with(GOOD, at(1 + 2 * P, 1e9)), "bad-moments", "range of 'x0' is empty"),
    "negative": (file_with(GOOD, at(-6, -1.0)), "bad-moments", "variance of 'x0' is negative"),
    "indefinite": (file_with(GOOD, at(-5, 1e3)), "bad-moments", "not positive semidefinite"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_moments_is_refused_by_name(tmp_path: Path, what: str) -> None:
    data, code, message = BAD[what]
    (tmp_path / "t.moments").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        load_moments(tmp_path / "t.moments")
    assert caught.value.code == code
    assert "t.moments" in str(caught.value)


@given(st.integers(0, len(b"".join(dump(GOOD))) - 1), st.integers(1, 255))
@modest
def test_no_changed_byte_goes_unseen(place: int, change: int) -> None:
    data = bytearray(b"".join(dump(GOOD)))
    data[place] ^= change
    with pytest.raises(InputError):
        parse_moments(bytes(data), "t")


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none\.moments: No such file"):
        load_moments(tmp_path / "none.moments")
    with pytest.raises(InputError, match="Is a directory"):
        load_moments(tmp_path)


# Merging


def exact(rows: Array, weights: Array) -> tuple[Array, Array]:
    """The slow twin: mean and co-moments by their definition in fractions."""
    w = [Fraction(float(weight)) for weight in weights]
    z = [[Fraction(float(value)) for value in row] for row in rows]
    total, places = sum(w), range(rows.shape[1])
    mean = [sum(a * row[j] for a, row in zip(w, z, strict=True)) / total for j in places]
    comoment = [
        [
            sum(a * (row[i] - mean[i]) * (row[j] - mean[j]) for a, row in zip(w, z, strict=True))
            for j in places
        ]
        for i in places
    ]
    return np.array(mean, np.float64), np.array(comoment, np.float64)


def assert_moments(found: Moments, rows: Array, weights: Array | None, relative: float) -> None:
    """Compare with the exact moments, relative to the columns' sizes and deviations."""
    mean, comoment = exact(rows, np.ones(len(rows)) if weights is None else weights)
    deviation = np.sqrt(comoment.diagonal())
    assert (np.abs(found.mean - mean) <= relative * np.abs(rows).max(axis=0)).all()
    off = np.abs(found.comoment - comoment)
    assert (off <= relative * np.outer(deviation, deviation)).all(), off


@given(tables(least=2), st.data(), st.booleans())
@modest
def test_merging_is_the_moments_of_the_union(
    rows: Array, data: st.DataObject, weighted: bool
) -> None:
    n = len(rows)
    weights = np.linspace(0.5, 2, n) if weighted else None
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), min_size=1)))
    parts = [slice(*ends) for ends in zip([0, *cuts], [*cuts, n], strict=True)]
    saved = [saved_of(rows[part], None if weights is None else weights[part]) for part in parts]
    merged = merge_moments([parse_moments(b"".join(dump(one)), "t") for one in saved])
    assert_moments(merged.moments, rows, weights, 1e-12)
    assert merged.moments.rows == merged.rows_read == n
    np.testing.assert_array_equal(merged.moments.minimum, rows.min(axis=0))
    np.testing.assert_array_equal(merged.moments.maximum, rows.max(axis=0))


def test_the_same_tree_gives_the_same_bytes(run: Run) -> None:
    for number, rows in enumerate((1_000, 140_000, 3, 66_000, 10, 500)):
        frame(rows, seed=number).write_parquet(f"{number}.parquet")
        options = ["-t", "y", "--save-moments", f"{number}.moments", "-q", "--strict"]
        assert run("train-and-export", f"{number}.parquet", *options)[0] == 0
    options = ["-t", "y", "--save-moments", "all", "--name", "all", "--strict"]
    assert run("train-and-export", "*.parquet", *options)[0] == 0
    files = [f"{number}.moments" for number in range(6)]
    status, said, warned = run("moments", "merge", *files, "-o", "merged")
    assert (status, warned) == (0, "")
    assert said == "merged: the moments of 207,513 rows, 5 features, 1 target\n"
    assert Path("merged").read_bytes() == Path("all").read_bytes()


def test_a_file_of_any_size_that_is_none_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(InputError, match="large is not a file of saved moments"):
        load_moments(tmp_path / "large")


def test_rows_that_would_count_twice_are_refused(run: Run) -> None:
    for name, slope in (("one", 1.0), ("other", 2.0)):
        x = np.arange(20.0)
        pl.DataFrame({"x": x, "y": slope * x + x % 3}).write_csv(f"{name}.csv")
        run("train-and-export", f"{name}.csv", "-t", "y", "--save-moments", f"{name}.m", "-q")
    Path("copy.m").write_bytes(Path("one.m").read_bytes())
    for files, said in (
        (["one.m", "other.m", "one.m"], "one.m is given twice"),
        (["one.m", "copy.m"], "copy.m has the same bytes as one.m"),
    ):
        status, _, errors = run("moments", "merge", *files, "-o", "whole.m")
        assert status == 2
        assert f"{said}: its rows would count twice" in errors
        assert not Path("whole.m").exists()


def test_columns_are_merged_by_name() -> None:
    a, b = (keep(frame(50, s), ["y", "z"], ["a", "b"], arithmetic="fast").gathered for s in (1, 2))
    turned = keep(frame(50, 2), ["z", "y"], ["b", "a"], arithmetic="fast").gathered
    assert a is not None and b is not None and turned is not None  # noqa: PT018
    one, other = merge_moments([a, b]), merge_moments([a, turned])
    assert other.columns == one.columns
    np.testing.assert_allclose(other.moments.comoment, one.moments.comoment, rtol=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {"features": ["a"]}, "has the feature 'b', .* does not"),
        ({"features": ["a"]}, {"features": ["c"]}, "has the feature 'c'"),
        ({}, {"targets": "z"}, "has the target 'z'"),
        ({}, {"sample_weight": "weight"}, "the sample weights are 'weight' and None"),
        (
            {"features": ["a", "shop"], "one_hot": "shop", "rows": 3},
            {"features": ["a", "shop"], "one_hot": "shop"},
            "the levels of 'shop', .*east.* and .*north",
        ),
        (
            {"features": ["a", "shop"], "one_hot": "shop"},
            {"features": ["a", "shop"], "one_hot": "shop", "sample_weight": None, "north": True},
            "the reference level of 'shop', north and south",
        ),
        ({"missing": "mean"}, {"missing": "mean", "seed": 5}, "the fill value of 'a'"),
    ],
)
def test_what_can_not_be_of_one_table_is_refused_by_name(
    first: dict[str, Any], second: dict[str, Any], message: str
) -> None:
    saved = []
    for options in (dict(first), dict(second)):
        table = frame(options.pop("rows", 40), options.pop("seed", 0))
        if options.pop("north", False):
            table = pl.concat([table, *[table.filter(pl.col("shop") == "north")] * 3])
        columns = {"targets": options.pop("targets", "y")}
        columns["features"] = options.pop("features", ["a", "b"])
        found = keep(table, **columns, **options, arithmetic="fast").gathered
        assert found is not None
        saved.append(found)
    for combine in (merge_moments, lambda both: subtract_moments(*both)):
        with pytest.raises(InputError, match=message) as caught:
            combine(saved)
        assert caught.value.code == "mixed-schemas"


def test_folds_are_merged_where_there_are_as_many(run: Run) -> None:
    for number, folds in enumerate((3, 3, 4)):
        frame(200, number).write_csv("t.csv")
        ridge = ["--ridge", "auto", "--folds", folds, "--save-moments", number]
        assert run("train-and-export", "t.csv", "-t", "y", *ridge, "-q")[0] == 0
    assert run("moments", "merge", "0", "1", "-o", "same")[0] == 0
    assert run("train-and-export", "--from-moments", "same", "--ridge", "auto", "-q")[0] == 0
    status, _, told = run("train-and-export", "--from-moments", "same", "--folds", "4")
    assert status == 2
    assert "without ridge = 'auto'" in told
    auto = ("--from-moments", "same", "--ridge", "auto", "--folds", "4")
    assert "folds = 4, but the moments of 3 were saved" in run("train-and-export", *auto)[2]
    status, _, told = run("moments", "merge", "0", "2", "-o", "none")
    assert status == 0
    assert "none has no folds" in told
    status, _, told = run("train-and-export", "--from-moments", "none", "--ridge", "auto")
    assert status == 2
    assert "needs the moments of folds, which were not saved" in told


# Subtracting


@given(tables(least=4), st.data(), st.booleans())
@modest
def test_what_is_left_is_the_rest_within_the_rounding_that_is_told(
    rows: Array, data: st.DataObject, weighted: bool
) -> None:
    n = len(rows)
    weights = np.linspace(0.5, 2, n) if weighted else None
    cut = data.draw(st.integers(1, n - 2))
    parts = [
        saved_of(rows[part], None if weights is None else weights[part])
        for part in (slice(cut), slice(cut, None))
    ]
    try:
        left = subtract_moments(merge_moments(parts), parts[1])
    except InputError as error:
        assume(error.code != "lost-digits")
        raise
    assert left.moments.rounding <= MOST
    assert left.moments.rows == left.rows_read == cut
    assert np.isnan(left.moments.minimum).all()
    rest = None if weights is None else weights[:cut]
    mean, _ = exact(rows[:cut], np.ones(cut) if rest is None else rest)
    np.testing.assert_allclose(
        left.moments.mean + left.moments.mean_rest, mean, rtol=1e-12, atol=1e-9
    )
    off = left.moments.rounding + 1e-12
    _, comoment = exact(rows[:cut], np.ones(cut) if rest is None else rest)
    deviation = np.sqrt(comoment.diagonal())
    assert (np.abs(left.moments.comoment - comoment) <= off * np.outer(deviation, deviation)).all()


def test_a_difference_that_keeps_too_few_digits_is_refused() -> None:
    spread = RNG.normal(size=(1000, 2)) * 1e5
    rest = RNG.normal(size=(1000, 2))
    part = saved_of(spread)
    whole = merge_moments([saved_of(rest), part])
    with pytest.raises(InputError, match="would lose more digits than it keeps") as caught:
        subtract_moments(whole, part)
    assert caught.value.code == "lost-digits"
    assert subtract_moments(whole, saved_of(rest)).moments.rounding < MOST
    constant = saved_of(np.c_[np.full(1000, 0.1), rest[:, 1]])
    with pytest.raises(InputError, match="'x0' varies too little"):
        subtract_moments(merge_moments([constant, part]), part)


def test_a_column_of_one_value_stays_one() -> None:
    parts = [saved_of(np.c_[np.full(50, 0.1), RNG.normal(size=(50, 2))]) for _ in range(2)]
    left = subtract_moments(merge_moments(parts), parts[1])
    found = fit(left)
    assert found.weights[0, 0] == 0
    assert any("constant, so their weight is 0: 'x0'" in warning for warning in found.warnings)
    with pytest.raises(InputError, match=r"the target 'x0' is 0\.1 in every row"):
        fit(left, "x0", "x1")


def test_the_report_says_why_it_has_no_leverage_of_what_is_left() -> None:
    values = RNG.normal(size=(90, 4))
    left = subtract_moments(saved_of(values), saved_of(values[:30]))
    page = freeze(fit(left), "model").files["report.html"].decode()
    told = "Not measured: the features' ranges are unknown, because rows were subtracted"
    assert told in html.unescape(page)


def test_what_is_no_part_of_the_whole_is_refused() -> None:
    rows = RNG.normal(size=(100, 3))
    whole = saved_of(rows)
    for part, message in (
        (saved_of(RNG.normal(size=(101, 3))), "more rows read"),
        (saved_of(rows[:10] * 9), "its range of '.*' exceeds the whole's"),
        (
            saved_of(np.tile(rows[:1] * [0, 1, 1] + [0.5, 0, 0], (50, 1))),
            "exceeds|negative|no table",
        ),
        (saved_of(rows[:10], rows_read=20, rows_dropped=10), "more rows dropped"),
        (saved_of(np.repeat(rows[[rows[:, 0].argmax()]], 60, 0)), "negative variance|no table"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            subtract_moments(whole, part)
        assert caught.value.code == "no-part"
    with pytest.raises(InputError, match="no row would be left"):
        subtract_moments(whole, whole)


def test_a_part_that_only_a_direction_betrays_is_refused() -> None:
    a = np.linspace(-1, 1, 100)
    whole = saved_of(np.c_[a, a + 0.01 * RNG.normal(size=100), RNG.normal(size=100)])
    other = saved_of(np.c_[a[20:80], -a[20:80], np.zeros(60)])
    with pytest.raises(InputError, match="no table has"):
        subtract_moments(whole, other)


def test_dependent_columns_are_still_seen_where_digits_were_lost() -> None:
    def table(rows: int, scale: float) -> Array:
        a, b, c = RNG.normal(size=(3, rows)) * scale
        return np.c_[a, b, a / 3 - 7 * b, a + c]

    part = saved_of(table(3000, 300))
    left = subtract_moments(merge_moments([saved_of(table(3000, 1)), part]), part)
    assert left.moments.rounding > 1e-11
    found = fit(left, dependent="drop")
    assert any("linearly dependent" in warning for warning in found.warnings)
    assert found.supposed == ["x2"]


def test_months_come_and_withdrawn_rows_go(run: Run) -> None:
    """The rows that are left, merged and subtracted in files, give the model of those rows."""
    for month in range(3):
        frame(500, month).write_parquet(f"{month}.parquet")
        saved = ("--strict", "--save-moments", f"{month}.moments")
        assert run("train-and-export", f"{month}.parquet", "-t", "y", "-t", "z", *saved)[0] == 0
    assert run("moments", "merge", *(f"{m}.moments" for m in range(3)), "-o", "all")[0] == 0
    status, out, _ = run("moments", "subtract", "all", "1.moments", "-o", "kept", "--json")
    assert status == 0
    record = json.loads(out)
    assert record["rows"] == 1000
    assert record["warnings"] == []
    assert run("train-and-export", "--from-moments", "kept", "--name", "kept")[0] == 0
    Path("1.parquet").unlink()
    expected = fit("?.parquet", ["y", "z"], strict=True, arithmetic="fast", dtype="float64")
    model = load("artifacts/kept")
    mean = expected.moments.mean[None, :4]
    np.testing.assert_allclose(
        model.predict(mean), mean @ expected.weights.numpy().T + expected.bias.numpy(), rtol=1e-6
    )


# The package that is made


def test_the_package_says_what_it_was_learned_from(run: Run) -> None:
    frame(300).write_csv("sales.csv")
    saved = ("--save-moments", "sales.moments")
    assert run("train-and-export", "sales.csv", "-t", "y", *saved, "-q")[0] == 0
    assert load("artifacts/sales/1").manifest["training"].get("moments") is None
    status, out, told = run("train-and-export", "--from-moments", "sales.moments", "-q")
    assert (status, out, told) == (0, "artifacts/sales/2\n", "")
    training = load("artifacts/sales/2").manifest["training"]
    data = Path("sales.moments").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert training["moments"] == {"name": "sales.moments", "bytes": len(data), "sha256": digest}
    assert training["files"] == []
    assert training["arithmetic_reason"] == "from saved moments, without the rows"
    assert "none but the saved moments sales.moments" in run("inspect", "artifacts/sales/2")[1]
    assert digest in Path("artifacts/sales/2/report.html").read_text()
    assert run("verify", "artifacts/sales/2")[0] == 0
    bare = ("--from-moments", "sales.moments", "--no-fingerprint", "--name", "bare")
    assert run("train-and-export", *bare)[0] == 0
    assert "sha256" not in load("artifacts/bare").manifest["training"]["moments"]


def test_ranges_that_are_not_known_are_said_to_be_so(run: Run, tmp_path: Path) -> None:
    parts = [keep(frame(300, seed), "y", ["a", "b"]).gathered for seed in (1, 2)]
    left = subtract_moments(merge_moments([p for p in parts if p]), parts[1])  # type: ignore[arg-type]
    learned = fit(left)
    package = export_package(learned, tmp_path, "left", intervals=True, torch_export=False)
    model = load(package)
    figures = model.manifest["columns"]["a"]
    assert (figures["minimum"], figures["maximum"]) == (None, None)
    assert figures["deviation"] > 0
    assert "leverage" not in model.manifest
    assert run("verify", package)[0] == 0
    assert run("inspect", package)[0] == 0
    assert "minimum" in run("inspect", package, "--json")[1]
    assert model.predict([[0.0, 1e5]]).shape == (1, 1)
    with pytest.raises(PackageError, match="the minimum of the columns is unknown"):
        model.predict([[0.0, 1e5]], check=True)
    golden = json.loads((package / "golden.json").read_bytes())["inputs"]
    assert np.isfinite(np.array(golden, np.float64)).all()


def test_the_same_moments_give_the_same_package(run: Run) -> None:
    save_moments(saved_of(RNG.normal(size=(300, 4))), "t.moments")
    for _ in range(2):
        assert run("train-and-export", "--from-moments", "t.moments")[0] == 0
    for file in Path("artifacts/t/1").iterdir():
        assert file.read_bytes() == (Path("artifacts/t/2") / file.name).read_bytes()


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arithmetic", "exact"], "arithmetic = 'exact' needs the rows"),
        (["--holdout", "0.2"], "holdout = 0.2 needs the rows"),
        (
            ["--preconditioning", "none"],
            "preconditioning = 'none' takes its gradient from the rows",
        ),
        (["--gradient", "rows"], "gradient = 'rows' needs the rows"),
        (["--sample-weight", "w"], "sample_weight = 'w' needs the rows"),
        (["--one-hot", "a"], "one_hot = ('a',) needs the rows"),
        (["--missing", "drop"], "missing = 'drop' needs the rows"),
        (["--null", "?"], "null = ('?',) needs the rows"),
        (["--separator", ";"], "separator = ';' needs the rows"),
        (["--decimal-comma"], "decimal_comma = True needs the rows"),
        (["--max-categories", "5"], "max_categories = 5 needs the rows"),
        (["--device", "cuda"], "cuda"),
        (["--robust"], "robust = 'HC3' needs the rows"),
        (["--engine", "ray"], "engine = 'ray' needs the rows"),
        (["--ridge", "auto"], "ridge = 'auto' needs the moments of folds"),
        (["--target", "c"], "unknown target 'c'"),
        (["--save-moments", "t.moments"], "t.moments is both input and output"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_need_rows_are_refused_by_name(
    run: Run, options: list[str], message: str
) -> None:
    save_moments(saved_of(RNG.normal(size=(40, 3))), "t.moments")
    before = Path("t.moments").read_bytes()
    status, out, told = run("train-and-export", "--from-moments", "t.moments", *options)
    assert (status, out) == (2, "")
    assert message in told
    assert not Path("artifacts").exists()
    assert Path("t.moments").read_bytes() == before


def test_the_gradient_of_the_moments_serves_without_preconditioning(tmp_path: Path) -> None:
    table = {"a": RNG.normal(size=200), "y": RNG.normal(size=200)}
    options = {"preconditioning": "none", "gradient": "moments", "epochs": 30}
    save_moments(keep(table, "y"), tmp_path / "t")
    assert_same_model(fit(load_moments(tmp_path / "t"), **options), fit(table, "y", **options))


def test_data_and_moments_are_two_tables(run: Run) -> None:
    save_moments(GOOD, "t.moments")
    status, _, told = run("train-and-export", "t.csv", "-t", "y", "--from-moments", "t.moments")
    assert status == 2
    assert "both DATA 't.csv' and --from-moments t.moments: expected one of them" in told


def test_a_wide_table_is_refused_before_it_is_read() -> None:
    wide = pl.DataFrame(np.zeros((3, 12_002)), schema=[f"c{j}" for j in range(12_002)])
    stages: list[str] = []
    with pytest.raises(InputError, match=r"12,001 features, has no co-moments to save"):
        fit(wide, "c0", keep_moments=True, progress=lambda stage, _: stages.append(stage))
    assert not stages


def test_an_unwritable_place_is_refused_before_any_training(run: Run) -> None:
    frame(40).write_csv("t.csv")
    Path("folder").mkdir()
    for place, why in (("none/t", "there is no folder none"), ("folder", "it is a folder")):
        status, _, told = run("train-and-export", "t.csv", "-t", "y", "--save-moments", place)
        assert status == 2
        assert f"cannot write {place}: {why}" in told
    status, _, told = run("train-and-export", "t.csv", "-t", "y", "--save-moments", "t.csv")
    assert status == 2
    assert "both input and output" in told
    assert not Path("artifacts").exists()
    with pytest.raises(OutputError):
        save_moments(GOOD, "folder")
    with pytest.raises(InputError, match="did not keep the moments"):
        save_moments(fit("t.csv", "y"), "t")


def test_few_rows_come_with_a_warning(run: Run) -> None:
    frame(4).select("a", "b", "y").write_csv("few.csv")
    frame(100).select("a", "b", "y").write_csv("many.csv")
    for name in ("few", "many"):
        options = (f"{name}.csv", "-t", "y", "--save-moments", name)
        told = run("train-and-export", *options)[2]
        assert ("can be computed from them" in told) == (name == "few")
        status, out, told = run("train-and-export", *options, "--json")
        assert (status, told) == (0, "")
        warned = any(
            "can be computed from them" in warning for warning in json.loads(out)["warnings"]
        )
        assert warned == (name == "few")
        noted = load(f"artifacts/{name}").manifest["training"]["warnings"]
        assert not any("worked out" in warning for warning in noted)
    status, _, told = run("moments", "merge", "few", "-o", "same")
    assert status == 0
    assert "can be computed from them" in told


def test_nothing_is_written_where_it_is_refused(run: Run) -> None:
    save_moments(GOOD, "a")
    save_moments(saved_of(RNG.normal(size=(9, 2))), "b")
    Path("broken").write_bytes(Path("a").read_bytes()[:-3])
    for words in (
        ("merge", "a", "b", "-o", "c"),
        ("merge", "a", "broken", "-o", "c"),
        ("subtract", "a", "a", "-o", "c"),
        ("merge", "a", "missing", "-o", "c"),
        ("merge", "a", "-o", "none/c"),
        ("merge", "a", "-o", "a"),
    ):
        before = Path("a").read_bytes()
        status, out, told = run("moments", *words)
        assert (status, out) == (2, ""), words
        assert told.startswith("Error: ")
        assert Path("a").read_bytes() == before
        assert sorted(path.name for path in Path().iterdir()) == ["a", "b", "broken"]
