"""What the figures rest on: the reference solution, the rivals' answers, goals and peaks."""

import sys

import numpy as np
import pytest
from benchmarks.comparison import Comparison, compare, table
from benchmarks.measure import peak_memory, silent, time_calls
from benchmarks.rivals import ITERATIVE, RIVALS
from benchmarks.synthetic import draw, optimum, prediction_error

PACKAGES = {"statsmodels OLS": "statsmodels", "glum": "glum", "polars-ols": "polars_ols"}


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
        pytest.importorskip(PACKAGES[name])  # of the group `bench`
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


def test_the_peak_of_a_process_is_its_own_and_not_its_parents():
    held = np.ones(40_000_000)  # 320 MB
    programs = {"small": "pass", "large": "bytearray(b'x') * 200_000_000"}
    commands = {name: ([sys.executable, "-c", text], silent) for name, text in programs.items()}
    peaks = peak_memory(commands, turns=1)
    assert peaks["small"][0] < 100e6 < held.nbytes
    assert peaks["large"][0] - peaks["small"][0] == pytest.approx(200e6, rel=0.1)
