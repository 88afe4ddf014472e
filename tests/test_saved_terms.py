"""Saved moments of tables with terms: they give the model that is learned from the rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gradline import load
from gradline.columns.kinds import NUMBER_NULLS
from gradline.errors import GradlineError, InputError
from gradline_export import export_package
from gradline_trainer import Fit, fit, load_moments, save_moments
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.saved.algebra import merge_moments, subtract_moments
from gradline_trainer.saved.files import dump, parse_moments
from gradline_trainer.saved.whole import own_patterns
from test_saved_moments import Run, run, sealed  # noqa: F401 - a fixture

modest = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LETTERS = ["a", "b", "c", "d", "e", "f"]
HANDS: list[list[str] | None] = [
    None,
    ["*", "x:s"],
    ["*", "s:t", "x^2"],
    ["log(u)", "s", "hinge(x, 1)"],
    ["x:u", "x^2:s", "weekday(d)"],
    ["x:s", "x:weekday(d)", "x is missing"],
    ["category(n)", "month(d)", "time(d):s"],
    ["*", "s=a", "category(n):x"],
]


def made(seed: int, rows: int, levels: int = 6, gaps: float = 0.2) -> pl.DataFrame:
    """A table with numbers, categories, times and missing values."""
    random = np.random.default_rng(seed)
    weights = np.array([8, 5, 4, 3, 0.15, 0.1])[:levels]
    x = np.round(random.normal(2, 3, rows), 3)
    table = pl.DataFrame(
        {
            "id": np.arange(rows),
            "x": x,
            "twin": x,
            "u": np.exp(random.normal(size=rows)),
            "s": random.choice(LETTERS[:levels], rows, p=weights / weights.sum()),
            "t": random.choice(["yes", "no"], rows),
            "n": random.integers(1, 4, rows),
            "d": np.datetime64("2021-02-03T10:00", "ms")
            + random.integers(0, 18_000, rows) * 3_600_000,
            "free text": [f"row {k} of {seed}" for k in range(rows)],
            "w": random.uniform(0.5, 2, rows).round(2),
        }
    )
    noise = random.normal(size=rows)
    table = table.with_columns(y=pl.Series(noise) + pl.col("x") - (pl.col("s") == "a"))
    holes = {name: pl.Series(random.random(rows) < gaps) for name in ("x", "s", "d")}
    table = table.with_columns(
        pl.when(~holes[name]).then(name).alias(name) for name in holes if gaps
    )
    return table.with_columns(twin=pl.col("x"))


def reread(saved: SavedMoments | None) -> SavedMoments:
    """Write and read the file."""
    assert saved is not None
    data = b"".join(dump(saved))
    found = parse_moments(data, "t.moments")
    assert b"".join(dump(found)) == data
    return found


def kept(table: pl.DataFrame, targets: str = "y", *names: Any, **options: Any) -> SavedMoments:
    learned = fit(table, targets, *names, keep_moments=True, arithmetic="fast", **options)
    return reread(learned.gathered)


def learned(table: pl.DataFrame, *names: Any, **options: Any) -> Fit:
    return fit(table, *names, arithmetic="fast", **options)


def assert_alike(found: Fit, expected: Fit, tolerance: float = 1e-9) -> None:
    """Check for the same columns and terms, and moments and weights within rounding."""
    assert found.features == expected.features
    for one, other in zip(found.columns.plan.columns, expected.columns.plan.columns, strict=True):
        for name, value in vars(one).items():
            if name == "fill" and value is not None:
                assert value == pytest.approx(other.fill, rel=1e-12)
            elif name in type(one).__dataclass_fields__:
                assert value == getattr(other, name), (one.name, name)
    a, b = found.moments, expected.moments
    assert isinstance(a, Moments)
    assert isinstance(b, Moments)
    deviation = np.sqrt(np.maximum(b.squares, 0))
    size = np.maximum(np.sqrt(b.squares / b.weight), np.abs(b.mean))
    assert (np.abs(a.mean - b.mean) <= 1e-10 * size).all()
    off = np.abs(a.comoment - b.comoment)
    assert (off <= (1e-9 + 10 * a.rounding) * np.outer(deviation, deviation)).all()
    assert a.rows == b.rows
    unsupported = expected.rank is not None and len(expected.rank.dependent)
    if not unsupported and not found.supposed:
        scale = np.sqrt(b.squares[-1] / b.weight) / np.maximum(deviation[:-1], 1e-300)
        scale *= np.sqrt(b.weight)
        apart = np.abs(found.weights.numpy() - expected.weights.numpy())
        assert (apart <= 1e-6 * scale + tolerance * np.abs(expected.weights.numpy())).all()


def assert_same_ranges(found: Fit, expected: Fit) -> None:
    a, b = found.moments, expected.moments
    np.testing.assert_allclose(a.minimum, b.minimum, rtol=1e-12)
    np.testing.assert_allclose(a.maximum, b.maximum, rtol=1e-12)
    np.testing.assert_array_equal(a.float32, b.float32)


def decided(call: Callable[[], Fit]) -> Fit | str:
    """Learn, or tell why not."""
    try:
        return call()
    except GradlineError as error:
        return error.code


OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"ridge": 0.5},
    {"sample_weight": "w"},
    {"missing": "drop"},
]


@given(
    st.integers(0, 10**6),
    st.sampled_from([40, 90, 400]),
    st.sampled_from(HANDS),
    st.sampled_from(OPTIONS),
    st.sampled_from([0.0, 0.06, 0.3]),
)
@modest
def test_a_model_of_the_file_is_the_model_of_the_rows(
    seed: int, rows: int, features: list[str] | None, options: dict[str, Any], gaps: float
) -> None:
    if "x is missing" in (features or ()) and (not gaps or "missing" in options):
        features = None
    table = made(seed, rows, gaps=gaps)
    expected = decided(lambda: learned(table, "y", features, **options))
    assume(isinstance(expected, Fit))
    assert isinstance(expected, Fit)
    of_rows = {name: options[name] for name in ("sample_weight", "missing") if name in options}
    saved = kept(table, "y", features, **of_rows)
    again = {name: value for name, value in options.items() if name not in of_rows}
    found = fit(saved, **again)
    assert_alike(found, expected)
    assert_same_ranges(found, expected)
    assert found.columns.decisions == expected.columns.decisions
    assert found.options.missing == expected.options.missing
    assert found.rows_dropped == expected.rows_dropped
    assert found.metrics.keys() >= {"training"}
    if validated := expected.metrics.get("cross_validated"):
        of_moments = found.metrics["cross_validated"]
        assert of_moments is not None
        assert of_moments["y"].r2 == pytest.approx(validated["y"].r2, rel=1e-5, abs=1e-9)


def said(found: Fit) -> list[tuple[str, str, str, bool]]:
    """The decisions, but for the last digit of a fill value, which merging may round otherwise."""
    digits = re.compile(r"(filled with -?[0-9.]{1,5})[0-9.]*")
    return [(d.column, digits.sub(r"\1", d.what), d.flag, d.taken) for d in found.columns.decisions]


@given(st.integers(0, 10**6), st.sampled_from(HANDS), st.booleans(), st.booleans())
@modest
def test_merged_files_are_the_moments_of_all_rows(
    seed: int, features: list[str] | None, weighted: bool, full: bool
) -> None:
    tables = [made(seed, 330, 4), made(seed + 1, 310, 6), made(seed + 2, 400, 5)]
    options: dict[str, Any] = {"sample_weight": "w"} if weighted else {}
    parts = [kept(table, "y", features, **options) for table in tables]
    assume(len({frozenset(map(frozenset, own_patterns(p.columns.plan))) for p in parts}) == 1)
    merged = reread(merge_moments(parts))
    ridge = {"ridge": 1.0} if full else {}
    expected = learned(pl.concat(tables), "y", features, **options, **ridge)
    found = fit(merged, **ridge)
    assert_alike(found, expected, 1e-7)
    assert said(found) == said(expected)
    # The rest of the rows, of all and one file less.
    left = reread(subtract_moments(merged, parts[1]))
    rest = learned(pl.concat([tables[0], tables[2]]), "y", features, **options, **ridge)
    again = fit(left, **ridge)
    assert_alike(again, rest, 1e-6)
    assert said(again) == said(rest)


def test_a_table_of_plain_numbers_is_saved_as_format_1(tmp_path: Path) -> None:
    table = made(0, 60).select("u", "n", "y")
    save_moments(fit(table, "y", keep_moments=True), tmp_path / "t")
    assert (tmp_path / "t").read_bytes().startswith(b"gradline moments 1\n")
    table = made(0, 60, gaps=0.0).select("u", "s", "y")
    for options in ({"strict": True, "one_hot": "s"}, {"one_hot": "s"}):
        save_moments(fit(table, "y", keep_moments=True, **options), tmp_path / "t")
        assert (tmp_path / "t").read_bytes().startswith(b"gradline moments 1\n")
    save_moments(fit(table, "y", keep_moments=True), tmp_path / "t")
    assert (tmp_path / "t").read_bytes().startswith(b"gradline moments 2\n")


def test_each_level_is_saved_and_no_reference(tmp_path: Path) -> None:
    table = made(3, 400)
    saved = kept(table, "y", ["s", "month(d)"])
    (s, d) = saved.columns.inputs
    assert (s.reference, s.rare, s.missing) == (None, (), True)
    assert s.levels == tuple(sorted(table["s"].drop_nulls().unique()))
    assert saved.columns.features == [
        *(f"s={level}" for level in s.levels),
        "s is missing",
        *(f"month(d)={month}" for month in range(1, 13)),
        "d is missing",
    ]
    assert d.fill is not None


def test_rare_levels_are_pooled_when_a_model_is_learned() -> None:
    tables = [made(seed, 200, 6) for seed in (1, 2)]
    tables = [table.select("u", "s", "y") for table in tables]
    parts = [kept(table) for table in tables]
    alone = fit(parts[0])
    assert "s=(rare)" in alone.features or "s=f" not in alone.features
    merged = fit(merge_moments([*parts, kept(made(9, 500, 6).select("u", "s", "y"))]))
    tables.append(made(9, 500, 6).select("u", "s", "y"))
    assert_alike(merged, learned(pl.concat(tables), "y"))


def test_a_new_level_and_a_new_gap_come_with_a_later_file() -> None:
    first = pl.DataFrame({"x": np.arange(60.0) ** 1.5, "s": ["a", "b", "c"] * 20})
    first = first.with_columns(y=pl.col("x").sin())
    later = pl.DataFrame({"x": np.arange(80.0) ** 1.4, "s": ["c", "d", None, "b"] * 20})
    later = later.with_columns(x=pl.when(pl.int_range(80) % 5 > 0).then("x"), y=pl.col("x").cos())
    both = merge_moments([kept(first), kept(later)])
    assert both.columns.features == ["x", "x is missing", *(f"s={k}" for k in "abcd"),
                                     "s is missing"]  # fmt: skip
    found = fit(both)
    assert_alike(found, learned(pl.concat([first, later]), "y"))
    assert "s=d" in found.features
    only = reread(subtract_moments(both, kept(later)))
    assert only.columns.features == ["x", "s=a", "s=b", "s=c"]
    assert_alike(fit(only), learned(first, "y"))


def test_constants_and_twins_are_left_out() -> None:
    table = made(5, 300).with_columns(same=pl.lit(3.0), copy=pl.col("s"))
    saved = kept(table)
    assert not {"twin", "copy", "same"} & {column.name for column in saved.columns.inputs}
    reasons = {d.column: d.what for d in fit(saved).columns.decisions if not d.taken}
    assert reasons["twin"] == "left out: the same as x"
    assert reasons["copy"].startswith("left out: the same as s=")
    assert reasons["same"] == "left out: constant"
    other = made(6, 300).with_columns(same=pl.lit(4.0), copy=pl.col("t").shift(1))
    with pytest.raises(InputError, match="has the feature 'copy'"):
        merge_moments([saved, kept(other)])


def test_indicators_that_are_the_same_are_found_in_the_moments() -> None:
    table = made(5, 300, gaps=0.0).drop("twin")
    table = table.with_columns(t=pl.when(pl.col("s") == "b").then(pl.lit("yes")).otherwise(
        pl.when(pl.col("u") > 1).then(pl.lit("no")).otherwise(pl.lit("so"))))  # fmt: skip
    expected = learned(table, "y")
    assert "t=yes" not in expected.features
    assert_alike(fit(kept(table)), expected)
    assert fit(kept(table)).columns.decisions == expected.columns.decisions


def test_nearly_equal_numbers_are_no_twins() -> None:
    table = made(2, 200, gaps=0.0).select("x", "y")
    table = table.with_columns(near=pl.col("x") * (1 + 1e-13), s=pl.Series(["a", "b"] * 100))
    assert "near" in fit(kept(table)).features


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("log(x)", "the term log(x) is not among them"),
        ("x:s", "the term x:s=a is not among them"),
        ("id", "the column 'id' was left out of them"),
        ("s=q", "no training row has 'q'"),
        ("nothing", "unknown feature 'nothing'"),
        (["x", "y"], "'y' is named as target and as feature"),
    ],
)
def test_what_was_not_saved_needs_the_rows(features: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        fit(kept(made(1, 200)), features=features)
    assert message in str(caught.value)
    if caught.value.code == "needs-rows":
        assert "--like PACKAGE" in str(caught.value.command_hint)


@pytest.mark.parametrize("features", ["s", "x", ["s=a", "month(d)"], "*", ["time(d)", "u"]])
def test_terms_are_selected_by_name(features: str | list[str]) -> None:
    table = made(7, 600)
    expected = learned(table, "y", features)
    assert_alike(fit(kept(table), "y", features), expected)


def test_targets_and_columns_are_chosen_among_the_saved() -> None:
    table = made(8, 300).drop("twin")
    saved = kept(table)
    assert_alike(fit(saved, exclude="s"), learned(table, "y", exclude="s"))
    assert_alike(fit(saved, "u"), learned(table, "u", exclude="y"))
    chosen = fit(saved, "u", ["y", "s"])
    assert_alike(chosen, learned(table, "u", ["y", "s"]))
    for wrong, message in (
        ({"targets": "x"}, "'x' can't be a target"),
        ({"targets": "s"}, "'s' can't be a target"),
        ({"targets": "id"}, "'id' can't be a target"),
        ({"exclude": ["x", "u", "s", "t", "n", "d", "w"]}, "no feature is left"),
    ):
        with pytest.raises(InputError, match=message):
            fit(saved, **wrong)


def test_folds_are_saved_and_cross_validate() -> None:
    table = made(4, 500)
    expected = learned(table, "y", ridge="auto")
    found = fit(kept(table, ridge="auto"), ridge="auto")
    assert found.options.ridge == pytest.approx(expected.options.ridge)
    assert found.features == expected.features
    both = merge_moments([kept(table), kept(made(5, 500))])
    assert len(both.folds) == 5
    assert fit(both).metrics.get("cross_validated")
    assert not subtract_moments(both, kept(table)).folds


def test_logged_targets_are_saved_with_terms() -> None:
    tables = [made(seed, 300).with_columns(y=pl.col("y").exp()) for seed in (1, 2)]
    for features in (None, ["u", "n"], ["log(u)", "s"]):
        parts = [kept(table, "log(y)", features) for table in tables]
        assert_alike(fit(parts[0]), learned(tables[0], "log(y)", features))
        merged = fit(merge_moments(parts))
        assert_alike(merged, learned(pl.concat(tables), "log(y)", features), 1e-7)
        assert merged.target_functions[0] is not None
    with pytest.raises(InputError, match=r"the moments hold log\(y\) alone"):
        fit(kept(tables[0].drop("x", "s", "d", "twin"), "log(y)"), "u", ["y"])
    strict = tables[0].select("u", "n", "y")
    assert_alike(fit(kept(strict, "log(y)", strict=True)), learned(strict, "log(y)", strict=True))


# With the terms of a package


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return export_package(fit(made(1, 400), "y"), tmp_path / "artifacts", "m", report=False)


def test_like_makes_files_that_merge(package: Path) -> None:
    month = made(2, 40, 4)
    small, large = kept(month, like=package), kept(made(1, 400))
    with pytest.raises(InputError) as caught:
        merge_moments([large, kept(month)])
    assert caught.value.code == "mixed-schemas"
    assert "--like PACKAGE" in str(caught.value.command_hint)
    assert_alike(fit(small), learned(month, "y", like=package))
    both = pl.concat([made(1, 400), month])
    for pair in ([large, small], [small, large]):
        found = fit(reread(merge_moments(pair)))
        assert_alike(found, learned(both, "y"))
    two = merge_moments([small, kept(made(3, 50, 4), like=package)])
    expected = learned(pl.concat([month, made(3, 50, 4)]), "y", like=package)
    assert_alike(fit(reread(two)), expected)


def test_like_a_package_of_plain_numbers_is_format_2(tmp_path: Path) -> None:
    table = made(1, 100, gaps=0.0).select("u", "n", "y")
    made_of = export_package(fit(table, "y"), tmp_path, "m", report=False)
    saved = kept(table, like=made_of)
    assert b"".join(dump(saved)).startswith(b"gradline moments 2\n")
    assert fit(saved).columns.plan.format == 1
    assert_alike(fit(saved), learned(table, "y", like=made_of))
    plain = fit(table, "y", keep_moments=True).gathered
    assert plain is not None
    assert fit(merge_moments([plain, saved])).features == ["u", "n"]


# Formats 1 and 2


def test_plain_numbers_of_format_1_merge_with_format_2() -> None:
    plain = made(1, 80, gaps=0.0).select("x", "u", "y")
    gaps = made(2, 90).select("x", "u", "y")
    one, two = kept(plain), kept(gaps)
    assert one.columns.survey is None
    assert two.columns.survey is not None
    assert_alike(fit(merge_moments([one, two])), learned(pl.concat([plain, gaps]), "y"))
    both = reread(merge_moments([two, one]))
    assert_alike(fit(both), learned(pl.concat([gaps, plain]), "y"))
    left = reread(subtract_moments(both, two))
    assert_alike(fit(left), learned(plain, "y"))
    coded = kept(made(1, 80, gaps=0.0).select("x", "u", "s", "y"), one_hot="s")
    more = kept(made(2, 90).select("x", "u", "s", "y"))
    with pytest.raises(InputError, match="has the levels or the fill value of 's'"):
        merge_moments([coded, more])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.with_columns(s=pl.Series(np.arange(len(t)) % 7)), "the kind of 's'"),
        (lambda t: t.with_columns(new=pl.col("u") ** 2), "has the feature 'new'"),
        (lambda t: t.drop("t"), "has the feature 't'"),
        (lambda t: t.with_columns(d=pl.col("d").dt.convert_time_zone("UTC")), "the zone of 'd'"),
        (
            lambda t: t.with_columns(u=pl.format("${}", pl.col("u").round(2))),
            "the way to write numbers of 'u'",
        ),
    ],
    ids=["kind", "more", "less", "zone", "parse"],
)
def test_what_differs_is_refused_by_name(
    change: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    table = made(1, 300).drop("twin")
    other = change(table)
    if other["d"].dtype != table["d"].dtype:
        other = table.with_columns(d=pl.col("d").dt.replace_time_zone("UTC"))
    for pair in ([kept(table), kept(other)], [kept(other), kept(table)]):
        for combine in (merge_moments, lambda both: subtract_moments(*both)):
            with pytest.raises(InputError, match=message) as caught:
                combine(pair)
            assert caught.value.code in ("mixed-schemas", "no-part")


def test_other_terms_by_hand_are_refused() -> None:
    table = made(1, 300)
    pairs = [(["x", "s"], ["x", "s", "x:s"]), (["s=a"], ["s=b"]), (["x"], ["log(u)", "x"])]
    for one, other in pairs:
        with pytest.raises(InputError) as caught:
            merge_moments([kept(table, "y", one), kept(table.reverse(), "y", other)])
        assert caught.value.code == "mixed-schemas"


def test_a_part_with_more_rows_of_a_level_is_refused() -> None:
    table = made(1, 300).drop("twin", "d")
    whole = kept(table)
    swapped = table.head(60).with_columns(s=pl.lit("d"), t=pl.lit("no"))
    wrong = merge_moments([whole, kept(table.head(100))])
    with pytest.raises(InputError) as caught:
        subtract_moments(whole, wrong)
    assert caught.value.code == "no-part"
    part = kept(pl.concat([swapped, table.head(5)]), "y", like=None)
    with pytest.raises(InputError) as caught:
        subtract_moments(whole, part)
    assert caught.value.code in ("no-part", "mixed-schemas")


# Files that no table has


def changed(saved: SavedMoments, change: Callable[[dict[str, Any]], None]) -> bytes:
    data = b"".join(dump(saved))[:-32]
    first, second, body = data.split(b"\n", 2)
    header = json.loads(second)
    change(header)
    return sealed(b"\n".join([first, json.dumps(header).encode(), body]))


def at(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(header: dict[str, Any]) -> None:
        inner: Any = header
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return change


def one_more(header: dict[str, Any]) -> None:
    counts = header["columns"][1]["found"]["counts"]
    counts[0], counts[1] = counts[0] + 1, counts[1] - 1


SAVED = kept(made(1, 200).select("x", "s", "d", "u", "y"))
HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "counts": (at("columns", 1, "found", "counts", value=[1, 2, 3]), "not one count for each"),
    "more": (one_more, "'s=a' has"),
    "sum": (at("columns", 1, "found", "counts", 0, value=9), "do not add up"),
    "negative": (at("columns", 1, "found", "missing", value=-1), "invalid counts"),
    "gap": (at("columns", 0, "found", "missing", value=0), "rows, but a mean"),
    "rows": (at("columns", 0, "found", "rows", value=150), "different numbers of rows"),
    "reference": (at("columns", 1, "reference", value="a"), "reference or rare levels"),
    "mean": (at("columns", 0, "found", "mean", value=1e9), "are no column's"),
    "infinite": (at("columns", 0, "found", "mean", value="inf"), "is not a number"),
    "parts": (at("columns", 2, "found", "parts", "month", value=[0] * 12), "do not add up"),
    "days": (at("columns", 2, "found", "days", value=[[5, 1]]), "not in order"),
    "kind": (at("columns", 0, "found", "kind", value="time"), "of two kinds"),
    "asked": (at("asked", "missing", value="never"), "what was asked"),
    "most": (at("asked", "max_categories", value=1.5), "what was asked"),
    "wanted": (at("asked", "terms", value=[[{"column": 1}]]), "no column"),
    "like": (at("asked", "like", value={"columns": [], "terms": []}), "no list of"),
    "decision": (at("decisions", value=[{"column": "x"}]), "a decision"),
    "terms": (lambda h: (h["terms"].pop(2), h["features"].pop(2))[0], "some of its levels"),
    "name": (at("features", 0, value="xx"), "its terms are not its features"),
    "columns": (at("columns", value=None), "it has no columns"),
    "found": (lambda h: h["columns"][0].pop("found"), "found"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_no_table_has_is_refused(what: str) -> None:
    change, message = HOSTILE[what]
    with pytest.raises(InputError, match=message) as caught:
        parse_moments(changed(SAVED, change), "t.moments")
    assert caught.value.code == "bad-moments"


def test_a_product_of_many_levels_is_not_expanded() -> None:
    levels = [f"{k:05d}" for k in range(20_000)]
    entry = {"name": "a", "kind": "category", "levels": levels, "reference": None}
    found = {"place": 0, "rows": 20_000, "missing": 0, "kind": "category", "counts": [1] * 20_000}
    columns = [entry | {"found": found}, entry | {"name": "b", "found": found}]
    term = [{"column": "a", "level": "00000"}, {"column": "b", "level": "00000"}]

    def change(header: dict[str, Any]) -> None:
        header["columns"], header["terms"] = columns, [term]
        header["features"] = ["a=00000:b=00000"]

    with pytest.raises(InputError, match="more than 12,000 terms") as caught:
        parse_moments(changed(SAVED, change), "t.moments")
    assert caught.value.code == "bad-moments"


@given(st.data())
@modest
def test_a_changed_header_never_crashes(data: st.DataObject) -> None:
    def change(header: dict[str, Any]) -> None:
        inner: Any = header
        while isinstance(inner, dict | list) and len(inner):
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(inner[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
                values = [None, -1, 0, 3, 2**70, 1.5, "x", [], {}, True, [[1]]]
                inner[key] = data.draw(st.sampled_from(values))
                return
            inner = inner[key]

    data_of = changed(SAVED, change)
    with suppress(InputError):
        found = parse_moments(data_of, "t.moments")
        assert b"".join(dump(found))
        fit(found)


# The commands


@pytest.mark.filterwarnings("ignore:17 rows with missing values:gradline.GradlineWarning")
def test_months_are_merged_and_trained_from(run: Run) -> None:  # noqa: F811
    for month in (1, 2, 3):
        made(month, 400).write_parquet(f"{month}.parquet")
        save = ("-t", "y", "--save-moments", f"{month}.moments", "-q")
        assert run("train-and-export", f"{month}.parquet", *save)[0] == 0
    files = ("1.moments", "2.moments", "3.moments")
    status, said, told = run("moments", "merge", *files, "-o", "all.moments")
    assert (status, told) == (0, "")
    assert said.startswith("all.moments: the moments of 1,200 rows, ")
    first = Path("all.moments").read_bytes()
    assert first.startswith(b"gradline moments 2\n")
    assert run("moments", "merge", *files, "-o", "again.moments")[0] == 0
    assert Path("again.moments").read_bytes() == first
    status, _, told = run("train-and-export", "--from-moments", "all.moments", "--name", "m")
    assert status == 0
    model = load("artifacts/m")
    expected = fit(pl.concat([made(month, 400) for month in (1, 2, 3)]), "y", arithmetic="fast")
    rows = made(4, 50).drop("y").with_columns(s=pl.lit("a"))
    assert model.plan.features == expected.features
    reference = load(export_package(expected, Path("artifacts"), "rows", report=False))
    np.testing.assert_allclose(model.predict(rows), reference.predict(rows), rtol=1e-5)
    status, said, told = run("moments", "subtract", "all.moments", "2.moments", "-o", "kept")
    assert status == 0
    assert "the days of 'd', and its first and last time, are those of the whole" in told
    assert fit(load_moments("kept")).rows_read == 800


def test_the_tokens_of_all_tables_mean_missing() -> None:
    tables = [
        pl.DataFrame({"x": [*map(str, range(60)), odd, odd], "y": np.sin(np.arange(62.0))})
        for odd in ("T", "?")
    ]
    merged = merge_moments([kept(table) for table in tables])
    assert merged.columns.inputs[0].null == (*NUMBER_NULLS, "T")
    assert_alike(fit(merged), learned(pl.concat(tables), "y"))
