"""A newcomer has to read few files to know how a run works."""

from __future__ import annotations

from benchmarks.entered import Entered, entered_by_fit, entered_by_train_and_export


def check(found: Entered, files: int, functions: int) -> None:
    assert len(found.functions) <= files, found
    assert sum(map(len, found.functions.values())) <= functions, found


def test_a_fit_enters_few_files_and_functions() -> None:
    check(entered_by_fit(50_000, 20), files=29, functions=188)


def test_exact_arithmetic_adds_few_files() -> None:
    check(entered_by_fit(100, 3), files=35, functions=218)


def test_train_and_export_enters_few_files() -> None:
    check(entered_by_train_and_export(), files=111, functions=600)
