"""Packages of format 2: what they hold, and what is refused."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import gradline
from gradline.columns.calendar import FIRST, LAST
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.targets import TargetFunction, dump_functions
from gradline.columns.terms import Factor, name_of
from gradline.commands.group import run
from gradline.package.files import file_limit
from gradline.package.graph import parse_graph
from gradline.package.manifest import dump_manifest, file_record, parse_manifest
from gradline.package.onnx_runtime import open_session
from gradline.package.pipeline_file import pipeline_bytes
from gradline.package.raw_rows import RawRows
from gradline.package.reading import read_package
from gradline_export import export_package
from gradline_export.freeze.formats import to_onnx
from gradline_trainer import fit
from plans import fit_of
from random_plans import graph_of, random_graph

SHOP = Column("shop", "category", ("A", "B", "R1", "R2"), missing=True, rare=("R1", "R2"))
AT = Column("at", "time", fill=1e8 + 0.5, zone="Europe/Berlin")
PLAN = Plan(
    (Column("price"), Column("qty", fill=3.5, null=("NA", "-")), SHOP, AT),
    (
        (Factor("price", "log"),),
        (Factor("qty"),),
        (Factor("qty", "missing"),),
        (Factor("shop", level="B"),),
        (Factor("shop", level="(rare)"),),
        (Factor("shop", "missing"),),
        (Factor("at", "time"),),
        *((Factor("at", "month", level=month),) for month in range(2, 13)),
        (Factor("qty"), Factor("shop", level="B")),
    ),
)
LOGGED = TargetFunction("log1p", 1.0625, "rows")


def values_of(plan: Plan, n: int = 300) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(0)
    shops = generator.choice([0, 1, 4, 5], n)
    times = generator.integers(-(10**9), 10**9, n)
    qty = np.where(generator.random(n) < 0.1, np.nan, generator.integers(1, 60, n))
    return np.column_stack([np.exp(generator.normal(size=n)), qty, shops, times])


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = values_of(PLAN)
    y = np.random.default_rng(1).normal(size=(len(values), 2))
    learned = fit_of(PLAN, values, y, [None, LOGGED])
    return export_package(learned, tmp_path_factory.mktemp("artifacts"), "shop", report=False)


@pytest.fixture
def package(published: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(published, tmp_path / "shop" / "1"))


def reseal(package: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    """Change the manifest, and have it agree with the files that are there."""
    manifest = json.loads((package / "manifest.json").read_bytes())
    del manifest["seal"]
    change(manifest)
    for name in manifest["files"]:
        manifest["files"][name] = file_record((package / name).read_bytes())
    (package / "manifest.json").write_bytes(dump_manifest(manifest))


def refused(package: Path) -> gradline.GradlineError:
    with pytest.raises(gradline.GradlineError) as caught:
        gradline.load(package)
    return caught.value


def test_a_package_says_what_its_columns_and_terms_are(published: Path) -> None:
    manifest = parse_manifest((published / "manifest.json").read_bytes())
    assert manifest["format"] == 2
    schema = manifest["schema"]
    assert schema["columns"] == PLAN.dump()["columns"]
    assert schema["terms"] == PLAN.dump()["terms"]
    assert schema["features"] == PLAN.features
    assert schema["target_functions"] == [
        None,
        {"function": "log1p", "scale": 1.0625, "scale_from": "rows"},
    ]
    assert "pipeline.onnx in ONNX Runtime" in manifest["parity"]["within"]
    graph = read_package(published).graph
    assert (graph.plan, graph.functions, graph.columns) == (PLAN, [None, LOGGED], [])
    gradline.load(published)


def test_the_same_fit_gives_the_same_bytes(published: Path, tmp_path: Path) -> None:
    values = values_of(PLAN)
    y = np.random.default_rng(1).normal(size=(len(values), 2))
    again = export_package(fit_of(PLAN, values, y, [None, LOGGED]), tmp_path, "shop", report=False)
    for path in published.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_raw_golden_rows_hold_what_hosts_get_wrong(published: Path) -> None:
    golden = json.loads((published / "golden.json").read_bytes())
    assert list(golden["raw"]) == ["columns", "outputs", "bounds"]
    raw = RawRows.parse(golden["raw"], PLAN, 2)
    assert len(raw.outputs) == 64
    shops, prices, times = (raw.columns[name] for name in ("shop", "price", "at"))
    assert {None, "?", *SHOP.levels} == set(shops)
    assert None in prices
    assert -1.0 in prices  # no logarithm
    known = [t for t in times if isinstance(t, float)]
    assert all(t.is_integer() and FIRST <= t <= LAST for t in known)
    values = values_of(PLAN)
    assert (min(known), max(known)) == (values[:, 3].min(), values[:, 3].max())
    numbers = [p for p in prices if isinstance(p, float) and p > 0]
    ends = values[:, 0].min(), values[:, 0].max()
    assert (min(numbers), max(numbers)) == pytest.approx(ends)
    absent = np.isnan(raw.outputs)
    assert (absent.all(axis=1) == absent.any(axis=1)).all()
    assert 0 < absent[:, 0].sum() < 32


def test_no_raw_golden_row_is_a_training_row(published: Path) -> None:
    raw = RawRows.parse(json.loads((published / "golden.json").read_bytes())["raw"], PLAN, 2)
    training = {tuple(row) for row in values_of(PLAN)}
    assert not training & {tuple(row) for row in raw.values(PLAN)}


def test_intervals_of_a_logged_target_say_so(tmp_path: Path) -> None:
    values = values_of(PLAN)
    learned = fit_of(PLAN, values, np.random.default_rng(1).normal(size=(300, 1)), [LOGGED])
    made = export_package(learned, tmp_path, "shop", report=False, intervals=True)
    model = onnx.load(made / "intervals.onnx")
    functions = parse_manifest((made / "manifest.json").read_bytes())["schema"]["target_functions"]
    found = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert found == {"gradline.target_functions": functions, "gradline.targets": ["t0"]}


def test_a_bare_file_of_the_gemm_has_its_plan(package: Path) -> None:
    model = gradline.load(package / "model.onnx")
    assert model.package.graph.plan == PLAN
    assert model.package.graph.functions == [None, LOGGED]


def test_a_bare_pipeline_points_to_its_package(package: Path) -> None:
    error = refused(package / "pipeline.onnx")
    assert "raw columns" in str(error)
    assert error.hint == f"give {package}, or {package / 'model.onnx'}"


@pytest.mark.parametrize("key", ["columns", "terms", "target_functions"])
def test_the_manifest_and_the_graph_agree(key: str, package: Path) -> None:
    reseal(package, lambda manifest: manifest["schema"][key].reverse())
    assert refused(package).code == "contradiction"


def test_a_format_1_manifest_does_not_take_the_graph(package: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["format"] = 1
        del manifest["files"]["pipeline.onnx"]

    reseal(package, change)
    assert refused(package).code == "contradiction"


def test_pipeline_onnx_is_part_of_the_package(package: Path) -> None:
    reseal(package, lambda manifest: manifest["files"].pop("pipeline.onnx"))
    assert refused(package).code == "bad-manifest"
    reseal(package, lambda manifest: manifest.update(pipeline="too-many-columns"))
    error = refused(package)
    assert error.code == "bad-manifest"
    assert str(error).endswith("up to 1000 columns, this package has 4")


def test_another_models_pipeline_is_refused(package: Path, tmp_path: Path) -> None:
    values = values_of(PLAN)
    y = np.random.default_rng(2).normal(size=(len(values), 2))
    learned = fit_of(PLAN, values, y, [None, LOGGED])
    other = export_package(learned, tmp_path / "other", "shop", report=False)
    shutil.copy(other / "pipeline.onnx", package)
    reseal(package)
    error = refused(package)
    assert error.code == "not-the-graph"
    assert "the constant '/W' differs" in str(error)


@pytest.mark.parametrize(
    ("key", "change", "code"),
    [
        ("outputs", lambda rows: rows[3].__setitem__(0, rows[3][0] + 1), "self-test"),
        ("outputs", lambda rows: rows[3].__setitem__(0, None), "self-test"),
        ("bounds", lambda rows: rows[3].__setitem__(1, 2 * rows[3][1]), "bad-golden"),
        ("bounds", lambda rows: rows[3].__setitem__(1, None), "self-test"),
        ("columns", lambda columns: columns.pop("at"), "bad-golden"),
        ("columns", lambda columns: columns["at"].pop(), "bad-golden"),
        ("columns", lambda columns: columns["at"].__setitem__(0, "x"), "bad-golden"),
        ("columns", lambda columns: columns["at"].__setitem__(0, True), "bad-golden"),
        ("columns", lambda columns: columns["shop"].__setitem__(0, 1), "bad-golden"),
        ("columns", lambda columns: columns["shop"].__setitem__(0, "zzz"), "self-test"),
    ],
)
def test_a_changed_raw_row_is_refused(
    key: str, change: Callable[[Any], object], code: str, package: Path
) -> None:
    golden = json.loads((package / "golden.json").read_bytes())
    change(golden["raw"][key])
    (package / "golden.json").write_text(json.dumps(golden))
    reseal(package)
    assert refused(package).code == code


def test_verify_runs_the_pipeline(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(package)], "gradline") == 0
    assert "pipeline.onnx  predicts them too" in capsys.readouterr().out


def test_files_are_within_their_limits(published: Path) -> None:
    manifest = parse_manifest((published / "manifest.json").read_bytes())
    for name in manifest["files"]:
        assert (published / name).stat().st_size <= file_limit(name, manifest["schema"]), name


def test_1000_columns_have_a_pipeline_and_1001_have_none(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for columns in (1000, 1001):
        plan = Plan(
            tuple(Column(f"c{j}", null=("NA",)) for j in range(columns)),
            tuple((Factor(f"c{j}"),) for j in range(columns)),
        )
        values = generator.normal(size=(20, columns))
        learned = fit_of(plan, values, values[:, :1], ridge=1.0)
        made = export_package(learned, tmp_path, "wide", report=False)
        manifest = parse_manifest((made / "manifest.json").read_bytes())
        assert ("pipeline.onnx" in manifest["files"]) == (columns == 1000)
        assert manifest.get("pipeline") == (None if columns == 1000 else "too-many-columns")
        assert gradline.load(made).package.pipeline is None or columns == 1000


def test_the_size_limit_holds_for_much_text_and_many_terms() -> None:
    for seed in range(10):
        graph = graph_of(seed, 13, 200)
        assert len(pipeline_bytes(graph)) <= file_limit("pipeline.onnx", graph.schema())
    levels = tuple(f"{j:05d}" for j in range(5000))
    column = Column("c", "category", levels)
    plan = Plan((column,), tuple((Factor("c", level=level),) for level in levels))
    graph = random_graph(np.random.default_rng(0), plan, "float32", [None])
    assert len(pipeline_bytes(graph)) <= file_limit("pipeline.onnx", graph.schema())


def test_a_logged_target_of_plain_numbers_has_columns_and_a_pipeline(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    table = {name: generator.random(50) + 0.5 for name in "aby"}
    made = export_package(fit(table, "log(y)"), tmp_path, "logged", report=False)
    schema = parse_manifest((made / "manifest.json").read_bytes())["schema"]
    assert [column["name"] for column in schema["columns"]] == ["a", "b"]
    model = gradline.load(made)
    session = open_session((made / "pipeline.onnx").read_bytes())
    (y,) = session.run(None, {"a": np.array([[0.5]]), "b": np.array([[0.25]])})
    z = model.graph_answers(np.array([[0.5, 0.25]], model.dtype))
    scale = schema["target_functions"][0]["scale"]
    assert y == pytest.approx(np.exp(z) * scale, rel=1e-5)
    assert y == pytest.approx(model.predict({"a": [0.5], "b": [0.25]}), rel=1e-5)


def test_a_column_without_a_name_has_the_name_of_pandas_as_an_input(tmp_path: Path) -> None:
    plan = Plan((Column("", null=("NA",)),), ((Factor(""),),))
    values = np.random.default_rng(0).random((30, 1))
    made = export_package(fit_of(plan, values, values), tmp_path, "nameless", report=False)
    session = open_session((made / "pipeline.onnx").read_bytes())
    assert [given.name for given in session.get_inputs()] == ["Unnamed: 0"]
    model = gradline.load(made)
    answers = model.predict({"": [0.5]})
    assert session.run(None, {"Unnamed: 0": np.array([[0.5]])})[0] == pytest.approx(answers)
    assert (model.predict({"Unnamed: 0": [0.5]}) == answers).all()


WRONG: list[Any] = [None, True, -1, 2**70, 1.7e308, "", "text", [], [[]], {}, "(rare)", "log", 3]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where the values of a JSON document stand."""
    yield above
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*above, key))


def test_metadata_with_anything_in_any_place_are_refused_or_make_a_graph() -> None:
    described = PLAN.dump() | {"target_functions": dump_functions([None, LOGGED])}
    features, targets = PLAN.features, ["a", "b"]
    weights, bias = np.ones((2, len(features)), np.float32), np.ones(2, np.float32)
    taken = 0
    for key, document in described.items():
        for place in places(document):
            for wrong in WRONG:
                changed = copy.deepcopy({key: document})
                at: Any = changed
                for step in (key, *place)[:-1]:
                    at = at[step]
                at[(key, *place)[-1]] = wrong
                data = to_onnx(weights, bias, "m", features, targets, described | changed, 2)
                with contextlib.suppress(gradline.PackageError):  # nothing else is raised
                    onnx.checker.check_model(pipeline_bytes(parse_graph(data)))
                    taken += 1
    assert taken > 0


@pytest.mark.parametrize(
    "factor",
    [
        Factor("x"),
        Factor("x", "log"),
        Factor("x", "log1p"),
        Factor("x", "sqrt"),
        Factor("x", "power", 2),
        Factor("x", "power", 3),
        Factor("x", "hinge", 2.5),
    ],
    ids=lambda factor: name_of((factor,)),
)
def test_the_rows_range_is_that_of_the_training_rows(factor: Factor, tmp_path: Path) -> None:
    plan = Plan((Column("x"),), ((factor,),))
    values = np.random.default_rng(0).uniform(2.5, 40.0, (200, 1))
    made = export_package(fit_of(plan, values, values), tmp_path, "m", report=False)
    raw = RawRows.parse(json.loads((made / "golden.json").read_bytes())["raw"], plan, 1)
    inside = [v for v in raw.columns["x"] if isinstance(v, float) and v > 0]
    ends = min(inside), max(inside)
    assert ends == pytest.approx((values.min(), values.max()), rel=1e-12)
    assert np.isnan(raw.outputs).sum() == 1 + (factor.function in ("log", "log1p", "sqrt"))


def test_a_columns_range_that_no_term_tells_is_within_the_domain(tmp_path: Path) -> None:
    columns = (Column("x"), Column("n", fill=7.0), Column("at", "time"))
    terms = ((Factor("x", "log"), Factor("n")), (Factor("at", "weekday", level=3),))
    plan = Plan(columns, terms)
    generator = np.random.default_rng(0)
    values = np.exp(generator.normal(size=(100, 3)))
    values[:, 2] = generator.integers(0, 10**9, 100)
    y = generator.random((100, 1))
    made = export_package(fit_of(plan, values, y), tmp_path, "m", report=False)
    raw = RawRows.parse(json.loads((made / "golden.json").read_bytes())["raw"], plan, 1)
    assert np.isnan(raw.outputs).sum() == 2  # one missing, one outside the domain
    times = [t for t in raw.columns["at"] if isinstance(t, float)]
    assert min(times) < 0 < max(times)
