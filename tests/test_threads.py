"""One thread of every library while gradline computes, and afterwards as many as before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Thread
from types import ModuleType
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from gradline.errors import RefusedError
from gradline_export import export_package
from gradline_export.freeze import freezing as packaging
from gradline_export.report import report
from gradline_trainer import Fit, LinearRegression, fit, learning
from gradline_trainer.rows.library_state import one_thread_each
from gradline_trainer.statistics import summarize as statistics
from other_machines import table

FOUR, ONE = [4, 4], [1, 1]


def counts() -> list[int]:
    """The threads of PyTorch and of NumPy's BLAS."""
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return [torch.get_num_threads(), blas[0]["num_threads"]]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets both; 4 may be more than there are cores."""
    before = torch.get_num_threads()

    def set_both(count: int) -> None:
        torch.set_num_threads(count)
        limits.append(threadpool_limits(count, "blas"))

    limits = [threadpool_limits()]
    yield set_both
    torch.set_num_threads(before)
    limits[0].restore_original_limits()


@pytest.fixture
def four(threads: Callable[[int], None]) -> None:
    threads(4)
    assert counts() == FOUR


@pytest.mark.parametrize(
    ("rows", "features", "options"),
    [
        (3000, 45, {"preconditioning": "standardize"}),
        (2000, 100, {"preconditioning": "standardize"}),
        (900, 400, {"arithmetic": "fast"}),
        (30, 900, {"arithmetic": "fast", "ridge": 2.0}),
    ],
)
def test_fast_arithmetic_gives_the_same_bits_for_any_number_of_threads(
    rows: int, features: int, options: dict[str, Any], threads: Callable[[int], None]
) -> None:
    data = table(rows, features)
    found = []
    for count in (1, 2, 4):
        threads(count)
        learned = fit(data, **options)
        found.append((learned.weights.numpy().tobytes(), learned.bias.numpy().tobytes()))
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("four")
def test_fit_and_freeze_and_summary_compute_with_one_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, list[int]] = {}

    def watch(module: ModuleType, name: str) -> None:
        original = getattr(module, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            seen[name] = counts()
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)

    watch(learning, "descend")
    watch(statistics, "target_statistics")
    watch(packaging, "certify_float32")
    watch(report, "to_report")
    learned = fit(table(50, 3))
    assert counts() == FOUR
    learned.summary()
    assert counts() == FOUR
    assert seen.pop("target_statistics") == ONE
    export_package(learned, tmp_path)
    assert counts() == FOUR
    assert seen == dict.fromkeys(
        ("descend", "target_statistics", "certify_float32", "to_report"), ONE
    )


@pytest.mark.usefixtures("four")
def test_the_estimator_computes_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    step = torch.Tensor.backward

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(counts())
        return step(*args, **kwargs)

    monkeypatch.setattr("torch.Tensor.backward", watched)
    LinearRegression().fit(*table(50, 3))
    assert seen
    assert all(found == ONE for found in seen)
    assert counts() == FOUR


@pytest.mark.usefixtures("four")
def test_a_run_that_is_refused_leaves_the_threads_as_they_were() -> None:
    with pytest.raises(RefusedError):
        fit(table(50, 3), preconditioning="none", learning_rate=1e9)
    assert counts() == FOUR


@pytest.mark.usefixtures("four")
def test_a_progress_report_may_fit_and_freeze_itself() -> None:
    inner: list[Fit] = []
    seen = []

    def report(stage: str, count: int) -> None:
        if not inner:
            inner.append(fit(table(20, 2)))
            packaging.freeze(inner[0], "inner", report=False)
        seen.append(counts())

    fit(table(50, 3), progress=report)
    assert all(found == ONE for found in seen)
    assert counts() == FOUR


@pytest.mark.usefixtures("four")
def test_fits_in_several_threads_leave_the_threads_as_they_were() -> None:
    together = Barrier(4)

    def work(seed: int) -> list[int]:
        together.wait()  # so that some threads first use PyTorch while others are in fit
        for _ in range(5):
            fit(table(50 + seed, 3))
        together.wait()
        return counts()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [FOUR] * 4
    assert counts() == FOUR


@pytest.mark.usefixtures("four")
def test_the_last_to_leave_restores_what_the_first_found() -> None:
    seen = {}
    entered, leave = Barrier(2), Barrier(2)

    def hold() -> None:
        with one_thread_each():
            entered.wait()
            leave.wait()
        seen["second"] = counts()

    with one_thread_each():
        thread = Thread(target=hold)
        thread.start()
        entered.wait()
    seen["first"] = counts()
    leave.wait()
    thread.join()
    assert seen == {"first": [4, 1], "second": FOUR}
    assert counts() == FOUR
