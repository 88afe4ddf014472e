"""Living with versions: list, diff, pin and unpin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradline
from gradline.commands.group import run
from gradline.package.comparison import compare
from gradline.package.reading import read_package
from gradline_export import export_package
from gradline_trainer import fit


@pytest.fixture
def artifacts(orchard_package: Path, tmp_path: Path) -> Path:
    """A folder of two packages: orchard of three versions, and sales of one."""
    root = tmp_path / "artifacts"
    for version in ("1", "2", "10"):
        shutil.copytree(orchard_package, root / "orchard" / version)
    sales = fit({"day": [1.0, 2, 3, 4], "sold": [3.0, 5, 6, 9]}, "sold", holdout=0.25)
    export_package(sales, root, "sales", report=False)
    return root


def answer(
    capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0
) -> dict[str, object]:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == status
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


# list


def test_list_shows_versions_in_order_and_which_is_loaded(
    artifacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list", str(artifacts)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:3] for line in lines[1:]] == [
        ["orchard", "1", "5"],
        ["orchard", "2", "5"],
        ["orchard", "→", "10"],
        ["sales", "→", "1"],
    ]
    assert run(["pin", str(artifacts / "orchard"), "2"]) == 0
    capsys.readouterr()
    assert run(["list", str(artifacts / "orchard")]) == 0
    shown = capsys.readouterr().out
    assert "→ 2 pinned" in shown
    assert "→ 10" not in shown
    assert "sales" not in shown


def test_list_as_json_has_what_the_manifests_say(
    artifacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (artifacts / "orchard" / "2.sig").write_bytes(b"")
    (artifacts / "orchard" / "1" / "manifest.json").write_bytes(b"{}")
    found = answer(capsys, "list", str(artifacts))
    orchard, sales = found["packages"]  # type: ignore[misc]
    assert (orchard["name"], orchard["loaded"], orchard["pinned"]) == ("orchard", 10, None)
    first, second, third = orchard["versions"]
    assert "seal" in first["problem"]
    assert (second["signed"], third["signed"]) == (True, False)
    assert third["targets"] == ["apples", "oranges"]
    assert (sales["versions"][0]["rows"], sales["versions"][0]["r2_on"]) == (3, "held_out")


def test_a_damaged_version_or_pin_is_shown_not_hidden(
    artifacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (artifacts / "orchard" / "1" / "manifest.json").write_bytes(b"{}")
    (artifacts / "orchard" / "pinned").write_bytes(b"7")
    assert run(["list", str(artifacts)]) == 0
    shown = capsys.readouterr().out
    assert "damaged: manifest.json does not match its seal" in shown
    assert "names version '7', which is not published" in shown


def test_list_of_what_is_no_folder_is_bad_input(tmp_path: Path) -> None:
    assert run(["list", str(tmp_path / "absent")]) == 2
    assert run(["list", str(tmp_path)]) == 0  # an empty one holds no packages


# pin and unpin


def test_a_pin_is_followed_until_it_is_removed(artifacts: Path) -> None:
    package = artifacts / "orchard"
    assert run(["pin", str(package), "1"]) == 0
    assert (package / "pinned").read_text() == "1\n"
    assert gradline.load(package).version == 1
    assert run(["pin", str(package), "2"]) == 0
    assert gradline.load(package).version == 2
    assert run(["unpin", str(package)]) == 0
    assert gradline.load(package).version == 10
    assert run(["unpin", str(package)]) == 0  # nothing to undo is no fault
    assert sorted(p.name for p in package.iterdir()) == ["1", "10", "2"]


def test_publishing_never_moves_a_pin(artifacts: Path) -> None:
    package = artifacts / "sales"
    assert run(["pin", str(package), "1"]) == 0
    again = fit({"day": [1.0, 2, 3, 4], "sold": [3.0, 5, 6, 9]}, "sold")
    assert export_package(again, artifacts, "sales", report=False).name == "2"
    assert gradline.load(package).version == 1


@pytest.mark.parametrize("version", ["3", "01", "0", "-1", "newest", "", "1\n"])
def test_only_published_versions_are_pinned(
    version: str, artifacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pin", str(artifacts / "orchard"), "--", version]) == 2
    assert "published: 1, 2, 10" in capsys.readouterr().err
    assert not (artifacts / "orchard" / "pinned").exists()


def test_a_damaged_version_is_not_pinned(artifacts: Path) -> None:
    (artifacts / "orchard" / "1" / "model.onnx").write_bytes(b"")
    assert run(["pin", str(artifacts / "orchard"), "1"]) == 1
    assert not (artifacts / "orchard" / "pinned").exists()


def test_pinning_where_no_package_is_is_bad_input(tmp_path: Path) -> None:
    assert run(["pin", str(tmp_path), "1"]) == 2
    assert run(["unpin", str(tmp_path)]) == 2


# diff

SEEDS = st.integers(0, 2**32 - 1)


def two_models(seed: int, root: Path) -> tuple[list[Path], dict[str, np.ndarray], list[str]]:
    """Return two versions trained on different halves of a table, one of fewer features."""
    r = np.random.default_rng(seed)
    d, n = int(r.integers(1, 5)), 60
    X = r.standard_normal((n, d)) @ r.standard_normal((d, d)) * 10 ** r.uniform(-3, 3, d)
    X += 10 ** r.uniform(-2, 3, d)
    names = [f"x{j}" for j in range(d)]
    table = dict(zip(names, X.T, strict=True))
    for target in ("a", "b"):
        table[target] = X @ r.standard_normal(d) + r.standard_normal(n) * 10 ** r.uniform(-2, 2)
    fewer = names[: max(1, d - int(r.integers(0, 2)))]
    paths = [
        export_package(
            fit({key: column[part] for key, column in table.items()}, ["a", "b"], features),
            root,
            "m",
            report=False,
        )
        for part, features in ((slice(0, 30), names), (slice(30, 60), fewer))
    ]
    return paths, table, names


@given(seed=SEEDS)
@settings(deadline=None, max_examples=25)
def test_the_bound_holds_on_the_rows_of_either_model(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    paths, table, names = two_models(seed, tmp_path_factory.mktemp("m"))
    first, second = map(read_package, paths)
    found = compare(first, second)
    assert found.bound is not None
    assert found.targets == ["a", "b"]
    whole = first.graph.features == second.graph.features
    for part in (slice(0, 30), *([slice(30, 60)] if whole else [])):
        rows = np.column_stack([table[name][part] for name in names])
        before = rows @ first.graph.weights.astype(float).T + first.graph.bias
        after = rows[:, : len(second.graph.features)] @ second.graph.weights.astype(float).T
        change = after + second.graph.bias - before
        rms = np.sqrt((change**2).mean(axis=0))
        assert (rms <= found.bound * (1 + 1e-9)).all(), (rms, found.bound)


def test_the_bound_is_reached_where_one_feature_changes(tmp_path: Path) -> None:
    x = np.arange(10.0)
    for slope in (2.0, 3.0):
        export_package(fit({"x": x, "y": slope * x + 1}, "y"), tmp_path, "m", report=False)
    found = compare(*(read_package(tmp_path / "m" / version) for version in "12"))
    assert found.bound is not None
    assert found.bound[0] == pytest.approx(np.sqrt((x**2).mean()), rel=1e-5)
    assert found.weights[:, 0, 0] == pytest.approx([2, 3], rel=1e-6)


def test_a_model_does_not_differ_from_itself(
    artifacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [str(artifacts / "orchard" / version) for version in "12"]
    found = answer(capsys, "diff", *pair, "--max-change", "0")
    for target in found["targets"].values():  # type: ignore[attr-defined]
        assert target["bound"] == 0
        assert all(w["change"] == 0 for w in target["weights"].values())


@pytest.fixture
def grown(tmp_path: Path) -> tuple[str, str, str]:
    """Two versions that differ in one slope, and a table of rows."""
    x, z = np.arange(10.0), np.tile([0.0, 1, 2, 3, 4], 2)
    for slope in (2.0, 2.5):
        export_package(
            fit({"x": x, "z": z, "y": slope * x - z}, "y"), tmp_path / "a", "m", report=False
        )
    pl.DataFrame({"z": z, "x": x, "other": x}).write_csv(tmp_path / "rows.csv")
    return str(tmp_path / "a/m/1"), str(tmp_path / "a/m/2"), str(tmp_path / "rows.csv")


def test_diff_measures_the_change_on_rows(
    grown: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, rows = grown
    found = answer(capsys, "diff", first, second, "--data", rows)
    y = found["targets"]["y"]  # type: ignore[index]
    exact = 0.5 * np.sqrt((np.arange(10.0) ** 2).mean())
    assert y["measured"]["rms"] == pytest.approx(exact, rel=1e-5)
    assert y["measured"]["largest"] == pytest.approx(4.5, rel=1e-5)
    assert y["measured"]["rows"] == 10
    assert y["bound"] >= y["measured"]["rms"]


def test_diff_names_the_features_behind_the_change(
    grown: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", *grown[:2]]) == 0
    shown = capsys.readouterr().out
    assert "predictions change by at most 2.67 (root mean square): x 1.44" in shown
    assert shown.index(" x ") < shown.index(" z ")  # what changes most comes first


@pytest.mark.parametrize(
    ("limits", "status"),
    [(["3"], 0), (["2.6"], 1), (["y=3"], 0), (["y=2.6"], 1), (["0", "y=3"], 0), (["0"], 1)],
)
def test_max_change_is_a_gate(
    limits: list[str], status: int, grown: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for limit in limits for word in ("--max-change", limit)]
    assert run(["diff", *grown[:2], *words]) == status
    shown = capsys.readouterr()
    assert "change by" in shown.out  # the answer is there whatever the verdict
    assert ("'y' may change by 2.669" in shown.err) == (status == 1)


@pytest.mark.parametrize("limit", ["-1", "nan", "y=", "much", "=3", "q=3"])
def test_a_limit_that_is_none_is_bad_input(limit: str, grown: tuple[str, str, str]) -> None:
    assert run(["diff", *grown[:2], "--max-change", limit]) == 2


def test_a_bare_graph_has_no_bound(
    grown: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, rows = grown
    bare = [f"{path}/model.onnx" for path in (first, second)]
    found = answer(capsys, "diff", *bare)
    assert found["targets"]["y"]["bound"] is None  # type: ignore[index]
    assert run(["diff", *bare, "--max-change", "3"]) == 1
    assert "--data TABLE" in capsys.readouterr().err
    assert run(["diff", *bare, "--max-change", "3", "--data", rows]) == 0


def test_models_of_other_targets(
    grown: tuple[str, str, str], orchard_package: Path, tmp_path: Path
) -> None:
    assert run(["diff", grown[0], str(orchard_package)]) == 2
    both = fit({"x": [1.0, 2, 3], "y": [2.0, 4, 5], "v": [1.0, 0, 1]}, ["y", "v"])
    wider = export_package(both, tmp_path, "wider", report=False)
    assert run(["diff", grown[0], str(wider)]) == 0
    assert run(["diff", grown[0], str(wider), "--max-change", "1e9"]) == 1


@pytest.mark.filterwarnings("ignore::gradline.GradlineWarning")
def test_diff_expands_categories_and_fills_as_predict_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pl.DataFrame(
        {
            "town": ["a", "b", "a", "c", "b", "a"],
            "x": [1.0, 2, None, 4, 5, 6],
            "y": [1.0, 4, 2, 9, 6, 5],
        }
    )
    table.write_csv(tmp_path / "rows.csv")
    paths = [
        export_package(fit(table, "y", one_hot="town", missing="mean", ridge=ridge), tmp_path, "m")
        for ridge in (0.1, 0.2)
    ]
    found = answer(capsys, "diff", *map(str, paths), "--data", str(tmp_path / "rows.csv"))
    measured = found["targets"]["y"]["measured"]  # type: ignore[index]
    rows = table.select("town", "x")
    before, after = (gradline.load(path).predict(rows)[:, 0] for path in paths)
    exact = np.sqrt(((after.astype(float) - before) ** 2).mean())
    assert measured["rows"] == 6
    assert measured["rms"] == pytest.approx(exact, rel=1e-4)
