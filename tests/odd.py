"""What tests of odd input share: a small model, and how its refusals are looked at."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gradline
from gradline.commands.group import run
from gradline_export import export_package
from gradline_trainer import fit

ROWS = [(i, i * i % 7, 3 * i + i % 4) for i in range(1, 13)]
BODY = "".join(f"{a},{b},{y}\n" for a, b, y in ROWS)


def package_of_rows(folder: Path) -> Path:
    """Publish a model of a and b, learned from ROWS."""
    a, b, y = (np.array(values, np.float64) for values in zip(*ROWS, strict=True))
    return export_package(fit({"a": a, "b": b, "y": y}, "y"), folder, "ok")


def refusal(act: Callable[[], object]) -> gradline.GradlineError:
    with pytest.raises(gradline.GradlineError) as caught:
        act()
    return caught.value


def command(*arguments: object) -> tuple[int, str]:
    """Run a command and return its status and what it says on stderr."""
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        status = run([str(word) for word in arguments], "gradline")
    error.seek(0)
    return status, error.read()
