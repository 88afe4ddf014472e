"""Public tables: one command from the file to a good model, and predictions from changed rows."""

from __future__ import annotations

import csv
import functools
import json
import re
import shlex
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
import polars as pl
import pytest
from benchmarks.first_command import INDEX, columns_of
from click.testing import CliRunner, Result

import gradline
import public_tables as tables
from browser import Page
from gradline.columns.kinds import Column
from gradline.commands.group import cli
from gradline_trainer import fit
from hosts import EXAMPLES, HOSTS, ROOT, need, npm


@dataclass(frozen=True)
class Case:
    """A table, the command's options, and the R² that it must reach."""

    write: Callable[[Path], Path]
    target: str
    r2: float
    options: tuple[str, ...] = ()
    rows: int | None = None  # how many have a target

    def __str__(self) -> str:
        return " ".join([self.write.__name__, *self.options])


# The floors are a little below what least squares on the documented terms reaches.
CASES = [
    Case(tables.penguins, "body_mass_g", 0.87, rows=342),
    Case(tables.penguins_raw, "Body Mass (g)", 0.88, rows=342),
    Case(tables.auto_mpg, "mpg", 0.82, rows=398),
    Case(tables.seattle_weather, "temp_max", 0.85, rows=1461),
    Case(tables.tips, "tip", 0.47, rows=244),
    Case(tables.computers, "price", 0.77, rows=6259),
    Case(tables.gapminder, "lifeExp", 0.93, ("-f", "*", "-f", "log(gdpPercap)"), rows=1704),
    Case(tables.co2, "co2", 0.98, rows=2225),
    Case(tables.longley, "TOTEMP", 0.99, rows=16),
    Case(tables.diamonds, "price", 0.91, rows=53_940),
    Case(tables.salaries, "salary", 0.45, rows=397),
    Case(tables.iris, "Sepal.Length", 0.86, rows=150),
    Case(tables.mtcars, "mpg", 0.86, rows=32),
    Case(tables.airquality, "Ozone", 0.61, rows=116),
    Case(tables.stocks, "price", 0.81, rows=560),
]
DIAMONDS = Case(
    tables.diamonds,
    "log(price)",
    0.95,
    ("-f", "log(carat)", "-f", "cut", "-f", "color", "-f", "clarity"),
)
FLIGHTS = Case(tables.flights, "arr_delay", 0.89, rows=327_346)
SHOWN = re.compile(
    r"^\| `train-and-export ([^`]*)` \| ([\d,]+) \| ([\d.]+) \| ([\d.]*) ?\|$", re.MULTILINE
)

every_table = pytest.mark.parametrize("case", CASES, ids=str)


@dataclass(frozen=True)
class Trained:
    """A table's file, its package and what the command printed."""

    data: Path
    package: Path
    done: Result

    @property
    def model(self) -> gradline.Model:
        return gradline.load(self.package)

    @property
    def manifest(self) -> dict[str, Any]:
        return self.model.manifest


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Trained]:
    """Train a table once, as its case says."""

    @functools.cache
    def train(case: Case) -> Trained:
        folder = tmp_path_factory.mktemp(case.write.__name__)
        data = case.write(folder)
        options = ["-t", case.target, *case.options, "-o", str(folder / "artifacts")]
        done = run("train-and-export", data, *options)
        return Trained(data, folder / "artifacts" / data.stem, done)

    return train


def run(*words: str | Path) -> Result:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.exception
    return done


@every_table
def test_the_first_command_gives_the_finished_model(
    case: Case, trained: Callable[[Case], Trained]
) -> None:
    manifest = trained(case).manifest
    assert manifest["metrics"]["training"][case.target]["r2"] >= case.r2
    assert manifest["training"]["rows"]["trained"] == case.rows
    # The nameless first column is a feature only where it holds dates.
    indexes = {name for name in columns_of(manifest) if INDEX.fullmatch(name)}
    assert indexes == ({""} if case.write is tables.co2 else set())


@every_table
def test_the_summary_has_the_five_fold_r2_beside_that_of_the_training_rows(
    case: Case, trained: Callable[[Case], Trained]
) -> None:
    found = trained(case)
    assert case.rows is not None
    metrics = found.manifest["metrics"]
    if case.rows < 50 or found.manifest["format"] == 1:
        assert not metrics.get("cross_validated")
        return
    r2 = metrics["cross_validated"][case.target]["r2"]
    assert r2 < metrics["training"][case.target]["r2"]
    assert str(r2)[:4] in found.done.stdout


@every_table
def test_every_column_is_decided_in_one_line(
    case: Case, trained: Callable[[Case], Trained]
) -> None:
    found = trained(case)
    with found.data.open(newline="") as file:
        names = next(csv.reader(file))
    for name in names:
        assert name in found.done.output


@pytest.mark.parametrize("reader", ["pandas", "polars"])
@pytest.mark.parametrize("case", [case for case in CASES if case.write is not tables.co2], ids=str)
def test_a_frame_gives_the_terms_of_its_file(
    case: Case, reader: str, trained: Callable[[Case], Trained]
) -> None:
    found = trained(case)
    frame = (
        pd.read_csv(found.data)
        if reader == "pandas"
        else pl.read_csv(found.data, infer_schema_length=None)
    )
    features = [word for word in case.options if word != "-f"] or None
    learned = fit(frame, case.target, features)
    assert learned.columns.plan.features == found.model.plan.features
    expected = found.manifest["metrics"]["training"][case.target]["r2"]
    measured = learned.metrics["training"]
    assert measured is not None
    assert measured[case.target].r2 == pytest.approx(expected, rel=1e-9)


@every_table
def test_the_pipeline_alone_answers_raw_rows(
    case: Case, trained: Callable[[Case], Trained]
) -> None:
    package = trained(case).package / "1"
    if trained(case).manifest["format"] == 1:  # plain numbers: model.onnx takes them
        assert not (package / "pipeline.onnx").exists()
        return
    raw = json.loads((package / "golden.json").read_text())["raw"]
    session = ort.InferenceSession(package / "pipeline.onnx")
    feeds = {
        name: np.array([[gap if value is None else value] for value in raw["columns"][name]], dtype)
        for name, gap, dtype in (
            (given.name, "", object) if "string" in given.type else (given.name, np.nan, float)
            for given in session.get_inputs()
        )
    }
    (answers,) = session.run(None, feeds)
    expected, bounds = np.array(raw["outputs"], float), np.array(raw["bounds"], float)
    np.testing.assert_array_equal(np.isnan(answers), np.isnan(expected))
    assert not (np.abs(answers - expected) > bounds).any()


@pytest.mark.slow
def test_node_answers_the_raw_rows_with_the_pipeline_alone(
    trained: Callable[[Case], Trained],
) -> None:
    run_host = HOSTS["node"]()
    for case in [*CASES, DIAMONDS]:
        found = trained(case)
        ended = run_host(found.package / "1")
        assert ended.returncode == 0, ended.stderr
        assert ("raw golden rows" in ended.stdout) == (found.manifest["format"] == 2)


@pytest.mark.slow
def test_a_web_page_answers_the_raw_rows_with_the_pipeline_alone(
    trained: Callable[[Case], Trained], tmp_path: Path
) -> None:
    left = shutil.ignore_patterns("node_modules")
    web = shutil.copytree(EXAMPLES / "web", tmp_path / "examples" / "web", ignore=left)
    (web / "node_modules").symlink_to(npm("web") / "node_modules")
    presentation = Path("runtime") / "gradline" / "presentation"
    shutil.copytree(ROOT / presentation, tmp_path / presentation)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    )
    verdict = "document.getElementById('verdict')?.textContent"
    settled = f"{verdict} && !{verdict}.startsWith('Loading') && {verdict}"
    with server, Page(need("chromium"), tmp_path / "profile") as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for case in [*CASES, DIAMONDS]:
            found = trained(case)
            shutil.copytree(found.package / "1", tmp_path / found.data.stem, dirs_exist_ok=True)
            address = f"http://127.0.0.1:{server.server_port}/examples/web/"
            page.open(f"{address}?package=/{found.data.stem}")
            said = page.wait_for(settled)
            assert str(said).startswith("Checked in this browser"), (case, said)
        server.shutdown()


def test_weekly_co2_is_predicted_out_of_fold(trained: Callable[[Case], Trained]) -> None:
    manifest = trained(next(case for case in CASES if case.write is tables.co2)).manifest
    assert manifest["metrics"]["cross_validated"]["co2"]["r2"] >= 0.98


def test_a_row_with_an_unseen_level_has_no_answer(
    trained: Callable[[Case], Trained], tmp_path: Path
) -> None:
    for case in CASES:
        found = trained(case)
        categories = [column for column in found.model.plan.columns if column.kind == "category"]
        if not categories:
            continue
        name = categories[0].name
        answers, said = predict(found, tmp_path, change(name, "never seen"))
        assert np.isnan(answers).tolist() == [False, True], case
        assert name in said, case
        zero, said = predict(
            found, tmp_path, change(name, "never seen"), "--unknown-category", "zero"
        )
        assert np.isfinite(zero).all(), case
        assert name in said, case


@every_table
def test_a_missing_column_is_an_error_that_names_it(
    case: Case, trained: Callable[[Case], Trained], tmp_path: Path
) -> None:
    found = trained(case)
    for column in found.model.plan.columns:
        header, row = sound_row(found)
        place = header.index(column.name)
        shorter = [header[:place] + header[place + 1 :], row[:place] + row[place + 1 :]]
        write(tmp_path / "new.csv", shorter)
        done = CliRunner().invoke(cli, ["predict", str(found.package), str(tmp_path / "new.csv")])
        assert done.exit_code != 0
        assert repr(column.name) in str(done.exception)


@every_table
def test_a_missing_value_is_filled_as_in_training_or_leaves_the_answer_missing(
    case: Case, trained: Callable[[Case], Trained], tmp_path: Path
) -> None:
    found = trained(case)
    for column in found.model.plan.columns:
        answers, _ = predict(found, tmp_path, change(column.name, ""))
        assert np.isnan(answers).tolist() == [False, not fills(column)], column.name


def test_diamonds_by_their_logarithms(trained: Callable[[Case], Trained], tmp_path: Path) -> None:
    found = trained(DIAMONDS)
    assert found.manifest["metrics"]["training"]["price"]["r2"] >= DIAMONDS.r2
    run("predict", found.package, found.data, "-o", tmp_path / "prices.parquet", "-q")
    answers = pl.read_parquet(tmp_path / "prices.parquet")["price"].cast(pl.Float64).to_numpy()
    prices = pl.read_csv(found.data)["price"].cast(pl.Float64).to_numpy()
    assert answers.min() > 0
    assert answers.sum() == pytest.approx(prices.sum(), rel=1e-6)
    off = ((prices - answers) ** 2).sum() / ((prices - prices.mean()) ** 2).sum()
    assert 1 - off == pytest.approx(found.manifest["metrics"]["training"]["price"]["r2"], rel=1e-6)
    assert 1 - off >= DIAMONDS.r2


def test_noise_takes_no_place_from_numbers_and_at_most_half_the_rows(
    trained: Callable[[Case], Trained],
) -> None:
    plan = trained(Case(tables.noisy_mtcars, "mpg", 0.86)).model.plan
    numbers = ["cyl", "disp", "hp", "drat", "wt", "qsec", "vs", "am", "gear", "carb"]
    assert [name for name in plan.features if name in numbers] == numbers
    assert len(plan.features) <= 16


def test_noise_is_noticed_and_the_hint_mends_it(trained: Callable[[Case], Trained]) -> None:
    found = trained(Case(tables.noisy_salaries, "salary", 0.45))
    terms = len(found.model.plan.features)
    assert (
        f"397 rows for {terms + 1} coefficients: the model may follow chance" in found.done.stderr
    )
    assert "--ridge auto may help" in found.done.stderr
    assert 2 * (terms + 1) > 397 * 4 / 5  # too few rows for an R² out of folds
    assert "cross_validated" not in found.manifest["metrics"]

    def unseen(*options: str) -> float:
        options = ("--holdout", "0.3", *options)
        metrics = trained(Case(tables.noisy_salaries, "salary", 0, options)).manifest["metrics"]
        r2: float = metrics["held_out"]["salary"]["r2"]
        return r2

    noisy, mended = unseen(), unseen("--ridge", "auto")
    assert noisy < 0 < 0.2 < mended


@pytest.mark.slow
def test_a_year_of_flights(trained: Callable[[Case], Trained], tmp_path: Path) -> None:
    found = trained(FLIGHTS)
    assert found.manifest["metrics"]["training"]["arr_delay"]["r2"] >= FLIGHTS.r2
    assert found.manifest["training"]["rows"]["trained"] == FLIGHTS.rows
    assert "tailnum" not in columns_of(found.manifest)  # 4,043 levels
    answers, said = predict(found, tmp_path, change("dest", "XXX"))
    assert np.isnan(answers).tolist() == [False, True]
    assert "dest" in said


def shown_in_the_page() -> dict[str, list[str]]:
    """Read the table in docs/training.md: rows, R² and 5-fold R² by the command's words."""
    page = (ROOT / "docs" / "training.md").read_text()
    return {words: figures for words, *figures in SHOWN.findall(page)}


def written(case: Case) -> str:
    """Write the words of a case's command, as a page shows them."""
    return shlex.join([f"{case.write.__name__}.csv", "-t", case.target, *case.options])


def printed(done: Result) -> list[str]:
    """Find the rows and the R² in what a command prints, with three digits."""
    (rows,) = re.findall(r"^\w+: ([\d,]+) rows,", done.stdout)
    table = done.stdout.split("\n  training rows")[1].splitlines()
    heads = re.split("  +", table[0].strip())
    figures = dict(zip(heads, table[1].split()[-len(heads) :], strict=True))
    five_fold = figures.get("5-fold R²") or figures.get("5-fold R² of log")
    return [rows, *(f"{float(r2):.3f}" if r2 else "" for r2 in (figures["R²"], five_fold))]


@pytest.mark.parametrize(
    "case", [*CASES, DIAMONDS, pytest.param(FLIGHTS, marks=pytest.mark.slow)], ids=str
)
def test_the_page_shows_what_the_command_prints(
    case: Case, trained: Callable[[Case], Trained]
) -> None:
    assert shown_in_the_page()[written(case)] == printed(trained(case).done)


def test_every_command_in_the_page_is_run() -> None:
    assert set(shown_in_the_page()) == set(map(written, [*CASES, DIAMONDS, FLIGHTS]))


def predict(
    found: Trained,
    folder: Path,
    changed: Callable[[list[str], list[str]], list[str]],
    *options: str,
) -> tuple[np.ndarray, str]:
    """Predict a sound row of the table and the same row changed; return what stderr says, too."""
    header, row = sound_row(found)
    write(folder / "new.csv", [header, row, changed(header, row)])
    out = folder / "answers.parquet"
    done = run("predict", found.package, folder / "new.csv", "-o", out, *options)
    (answers,) = pl.read_parquet(out).cast(pl.Float64).get_columns()
    return answers.fill_null(np.nan).to_numpy(), done.stderr


def change(name: str, value: str) -> Callable[[list[str], list[str]], list[str]]:
    return lambda header, row: [
        value if column == name else held for column, held in zip(header, row, strict=True)
    ]


def sound_row(found: Trained) -> tuple[list[str], list[str]]:
    """Return the header and the first row without a gap where the model cannot fill one."""
    with found.data.open(newline="") as file:
        header, *rows = csv.reader(file)
    needed = [header.index(column.name) for column in found.model.plan.columns if not fills(column)]
    return header, next(row for row in rows if not {row[j] for j in needed} & {"", "NA"})


def fills(column: Column) -> bool:
    """Tell whether an answer is possible where the column has no value."""
    return column.missing or column.fill is not None


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
