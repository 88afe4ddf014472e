"""What people read at a shell: tables that stay readable, and next steps that work when pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from gradline.terminal.layout import Grid
from gradline.terminal.styled import as_styled
from outcomes import Outcome, Run

ROWS = [(f"2024-01-{i % 28 + 1:02d}", "NS"[i % 2], i, i * i % 7, 3 * i + i % 4) for i in range(60)]


def hint_of(found: Outcome) -> str:
    """Read the last line of an error."""
    assert found.status, found.out
    return found.err.splitlines()[-1].strip()


@pytest.fixture
def shops(run: Run) -> Path:
    """A table of a time, a category, two numbers and a target with a gap, and its package."""
    lines = [",".join(map(str, row)) for row in ROWS]
    lines[0] = lines[0].rpartition(",")[0] + ","
    Path("shops.csv").write_text("day,store,size,stock,sales\n" + "\n".join(lines) + "\n")
    assert run("train", "shops.csv", "-t", "sales", "--no-report", "-q").status == 0
    return Path("artifacts/shops")


def test_a_table_on_a_terminal_breaks_no_name_within_a_word() -> None:
    names = ["flipper_length_mm", "species=Chinstrap", "sex is missing"]
    rows = [["body_mass_g", *(f"head {j} of it" for j in range(8))]]
    rows += [[name, *["12.3456"] * 8] for name in names]
    for width in (48, 60, 80, 120):
        shown = as_styled([Grid(rows)], width, color=False)
        assert all(word in shown for name in names for word in name.split())
        assert all(len(line) <= width for line in shown.splitlines())
    assert "flipper_length_mm" not in as_styled([Grid(rows)], 30, color=False)  # half is 14


def test_a_single_number_is_excluded_by_its_name(run: Run) -> None:
    lines = "".join(f"{'ab'[i % 2]},{i},{i * 2 + i % 3}\n" for i in range(30))
    Path("t.csv").write_text("kind,the size,y\n" + lines)
    shown = run("train", "t.csv", "-t", "y", "--no-report").out
    line = next(line for line in shown.splitlines() if "the size: number" in line)
    flags = shlex.split(line.partition("(")[2].removesuffix(")"))
    assert flags == ["--exclude", "the size"]
    assert run("train", "t.csv", "-t", "y", "--no-report", *flags).status == 0


def test_dropped_rows_name_the_target_if_it_alone_can_be_missing(shops: Path, run: Run) -> None:
    told = run("train", "shops.csv", "-t", "sales", "--no-report", "-f", "size").err
    assert "1 of 60 rows dropped for missing values of sales\n" in told
    told = run("train", "shops.csv", "-t", "sales", "--no-report", "--missing", "drop").err
    assert "1 of 60 rows dropped for missing values\n" in told


def test_without_a_target_the_columns_are_listed(shops: Path, run: Run) -> None:
    found = run("train", "shops.csv")
    assert hint_of(found) == "--target NAME, one of 'day', 'store', 'size', 'stock', 'sales'", (
        found.err
    )


def test_a_target_of_words_shows_different_ones_and_what_to_write(run: Run) -> None:
    lines = "".join(f"{i},{'no' if i % 3 else 'yes'}\n" for i in range(20))
    Path("t.csv").write_text("a,y\n" + lines)
    found = run("train", "t.csv", "-t", "y")
    assert "such as 'yes', 'no'; the first" in found.err
    assert hint_of(found).startswith("write them as numbers, such as 1 and 0")


def test_text_that_is_all_different_is_taken_in_as_the_hint_says(run: Run) -> None:
    Path("t.csv").write_text("who,y\n" + "".join(f"n{i},{i}\n" for i in range(20)))
    hint = hint_of(run("train", "t.csv", "-t", "y"))
    assert hint == "-f '*' -f who takes it in"
    flags = shlex.split(hint.removesuffix(" takes it in"))
    assert run("train", "t.csv", "-t", "y", "--no-report", *flags).status == 0


def test_a_file_name_that_names_no_package_gets_a_plain_one(run: Run) -> None:
    Path("my names & blanks.csv").write_text("a,y\n" + "".join(f"{i},{i}\n" for i in range(9)))
    hint = hint_of(run("train", "my names & blanks.csv", "-t", "y"))
    assert hint == "--name my-names-blanks"


def test_all_missing_columns_are_named_at_once(shops: Path, run: Run) -> None:
    Path("other.csv").write_text("spend,size\n1,2\n")
    found = run("predict", shops, "other.csv")
    assert "Error: the column 'day' is missing, and so are 'store', 'stock'\n" in found.err
    assert hint_of(found) == "add the columns 'day', 'store', 'stock'"
    Path("other.csv").write_text("Day,store,size,stock\n1,2,3,4\n")
    assert hint_of(run("predict", shops, "other.csv")) == "did you mean 'Day'?"


def test_a_failed_gate_says_which_rows_to_look_at(shops: Path, run: Run) -> None:
    table = Path("shops.csv").read_text().replace(",", ";")
    Path("new shops.csv").write_text(table)
    found = run("evaluate", shops, "new shops.csv", "--separator", ";", "--max-rmse", "0")
    assert found.status == 1
    program, *words = shlex.split(hint_of(found).removeprefix("see which rows: "))
    assert program == "gradline"
    shown = run(*words)
    assert shown.out.splitlines()[0] == "day,store,size,stock,sales,sales_predicted"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--intervals", "0.9"], "--intervals --level 0.9"),
        (["--keep", "*"], "--keep all copies every column"),
        (["-o", "out.json"], "for an object per line, name it out.ndjson"),
    ],
)
def test_what_other_tools_would_take_is_explained(
    words: list[str], hint: str, shops: Path, run: Run
) -> None:
    found = run("predict", shops, "shops.csv", *words)
    assert found.status == 2
    assert hint_of(found) == hint


@pytest.mark.parametrize("columns", [3, 20])
def test_the_line_for_python_runs_in_a_new_python(columns: int, run: Run) -> None:
    names = [f"x{j}" for j in range(columns)]
    numbers = np.random.default_rng(0).integers(0, 99, (40, columns + 1))
    lines = [",".join(map(str, row)) for row in numbers]
    Path("t.csv").write_text(",".join([*names, "y"]) + "\n" + "\n".join(lines) + "\n")
    shown = run("train", "t.csv", "-t", "y", "--no-report").out
    exec(shown.partition("  Python   ")[2].splitlines()[0], {})  # noqa: S102 - told to copy


def test_a_target_without_its_option_is_told_its_option(shops: Path, run: Run) -> None:
    found = run("train", "shops.csv", "the sales")
    assert found.status == 2
    assert "'the sales' follows DATA" in found.err
    assert hint_of(found).startswith("to predict a column: -t 'the sales'; to read several files")
    found = run("train", "a.csv", "b.csv", "c.csv")
    assert "'data/*.csv'" in hint_of(found)


def test_a_target_without_a_table_is_told_to_name_the_table(shops: Path, run: Run) -> None:
    found = run("train", "-t", "the sales")
    assert found.status == 2
    assert "no DATA, and the built-in orchard table has no column 'the sales'" in found.err
    assert hint_of(found) == "gradline train DATA -t 'the sales'"
    assert run("train", "-t", "log(apples)", "--no-report", "-q").status == 0


def test_a_version_folder_to_pin_is_split_as_the_hint_says(shops: Path, run: Run) -> None:
    hint = hint_of(run("pin", shops / "1"))
    assert hint == "gradline pin artifacts/shops 1"
    assert run(*hint.split()[1:]).status == 0
    assert hint_of(run("pin", shops)) == "gradline pin artifacts/shops VERSION"
