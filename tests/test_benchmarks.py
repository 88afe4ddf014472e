"""What the figures rest on: the reference solution, the rivals' answers, goals and peaks."""

import json
import sys

import numpy as np
import pytest
from benchmarks.__main__ import RESULTS
from benchmarks.alone import FIT, time_alone
from benchmarks.comparison import Comparison, compare, table
from benchmarks.document import PAGES, with_tables
from benchmarks.machine import LIMITS, READ, SYRK
from benchmarks.measure import peak_memory, silent, time_calls
from benchmarks.rivals import ITERATIVE, RIVALS
from benchmarks.synthetic import draw, optimum, prediction_error

PACKAGES = {"oneDAL": "sklearnex", "polars_ds": "polars_ds"}  # of the group `bench`


def test_the_optimum_is_that_of_an_orthogonal_factorization():
    X, Y = draw(200, 6, 3)
    Q, R = np.linalg.qr(np.column_stack([X, np.ones(200)]))
    solution = np.linalg.solve(R, Q.T @ Y)
    W, b = optimum(X, Y)
    assert prediction_error((solution[:-1].T, solution[-1]), (W, b), X) < 1e-14


def test_a_prediction_error_is_a_share_of_the_spread_of_the_worst_target():
    X, Y = draw(500, 4, 2)
    W, b = optimum(X, Y)
    spread = (X @ W.T).std(axis=0)
    found = W, b + spread * [0.001, 0.02]
    assert prediction_error(found, (W, b), X) == pytest.approx(0.02, rel=1e-9)


@pytest.mark.parametrize("name", RIVALS)
def test_every_rival_fits_the_same_model(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    X, Y = draw(2000, 5, 3)
    error = prediction_error(RIVALS[name](X, Y)(), optimum(X, Y), X)
    assert error < (0.02 if name in ITERATIVE else 1e-12)


def test_a_goal_is_reached_at_the_accuracy_of_the_peer_or_better():
    samples = {"ours": [1.0, 1.0, 9.0], "theirs": [2.0, 3.0, 3.0]}
    line = compare(samples, "ours", "theirs", 0.5, error=2e-15, peer_error=1e-15, resolution=2e-15)
    assert (line.ours, line.theirs, line.ratio, line.turns) == (1.0, 3.0, 0.5, 3)
    assert line.reached
    assert not compare(samples, "ours", "theirs", 0.49).reached
    assert not compare(samples, "ours", "theirs", 0.5, error=2e-15, peer_error=1e-15).reached


def test_a_table_shows_what_was_not_run_and_why():
    fast = Comparison("fit", "slow", 1.0, 2.0, 0.5, 1.0, 3)
    left_out = Comparison("fit", "slower", note="takes minutes: not run")
    text = "\n".join(table([fast, left_out]))
    assert "takes minutes: not run" in text
    assert "error" not in text  # a column that is empty in all lines
    assert left_out.reached is None


def test_a_slow_call_is_made_once_and_a_fast_one_in_every_turn():
    calls = []
    assert len(time_calls({"slow": lambda: calls.append(1)}, 5, budget=0.0)["slow"]) == 1
    assert len(calls) == 1
    assert len(time_calls({"fast": lambda: None}, 5)["fast"]) == 5


def test_each_candidate_answers_from_its_own_process_in_every_turn_of_its_budget():
    X, Y = draw(300, 4, 2)
    names = [FIT, "NumPy by hand", READ, SYRK]
    samples, errors = time_alone(names, X, Y, turns=2, budget=60.0)
    assert {name: len(part) for name, part in samples.items()} == dict.fromkeys(names, 2)
    assert all(0 < seconds < 10 for part in samples.values() for seconds in part)
    assert errors[FIT] < 1e-14
    assert errors["NumPy by hand"] < 1e-13
    once, _ = time_alone(["NumPy by hand"], X, Y, turns=5, budget=1e-9)
    assert len(once["NumPy by hand"]) == 1


def test_a_candidate_that_ends_is_named():
    with pytest.raises(AssertionError, match="no such candidate"):
        time_alone(["no such candidate"], *draw(30, 2, 1), turns=1, budget=1.0)


@pytest.mark.parametrize("shape", [(30, 3, 2), (20_001, 40, 1), (2_000, 600, 1)])
@pytest.mark.parametrize("name", [SYRK, "product in float64"])
def test_the_product_covers_every_row_once(shape, name, monkeypatch):
    numbers = []
    multiply = np.dot
    monkeypatch.setattr(np, "dot", lambda a, z, out: (numbers.append(z.size), multiply(a, z, out)))
    X, Y = draw(*shape, "float32")
    LIMITS[name](X, Y)()
    covered = sum(numbers) / (shape[1] + shape[2])
    assert shape[0] <= covered <= shape[0] + len(numbers)


def test_a_comparison_counts_the_turns_that_both_took():
    line = compare({"ours": [1.0, 2.0, 9.0], "slow": [4.0]}, "ours", "slow")
    assert (line.ours, line.ratio, line.turns) == (2.0, 0.25, 1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_come_from_the_results(page):
    kept = json.loads(RESULTS.read_text())
    text = page.read_text()
    assert "<!-- results: " in text
    assert text == with_tables(text, kept), "run python -m benchmarks --document"


def test_a_table_shows_the_peers_time_divided_by_ours_and_a_goal_that_was_missed():
    line = {"what": "job", "ratio": 0.5, "goal": 0.25, "reached": False, "note": ""}
    lines = [line | {"peer": "a"}, line | {"peer": "b", "ratio": 0.1, "reached": True}]
    lines.append(line | {"peer": "c", "ratio": None, "note": "takes too long: not run"})
    machine = {"cpu": "A Processor", "cores": 2}
    page = "Before.\n<!-- results: serve -->\nold\n<!-- end -->\nAfter.\n"
    found = with_tables(page, {"serve": {"machine": machine, "results": lines}})
    assert found.startswith("Before.\n<!-- results: serve -->\n")
    assert "|job|2.0 (4.0)|10|not run|" in found
    assert "A Processor, 2 cores." in found
    assert "old" not in found
    assert found.endswith("\n<!-- end -->\nAfter.\n")


def test_the_peak_of_a_process_is_its_own_and_not_its_parents():
    held = np.ones(40_000_000)  # 320 MB
    programs = {"small": "pass", "large": "bytearray(b'x') * 200_000_000"}
    commands = {name: ([sys.executable, "-c", text], silent) for name, text in programs.items()}
    peaks = peak_memory(commands, turns=1)
    assert peaks["small"][0] < 100e6 < held.nbytes
    assert peaks["large"][0] - peaks["small"][0] == pytest.approx(200e6, rel=0.1)
