"""rows.js writes raw rows as the training table has them, and code that sends them."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gradline.columns.kinds import Column, dump_column
from gradline.columns.parsing import values_of
from hosts import need

pytestmark = pytest.mark.slow

# Reads [calls] of a function of rows.js from stdin, and writes its answers.
SCRIPT = """
await import(process.argv[1]);
const { name, calls } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const found = name.split(".").reduce((from, part) => from[part], gradline.rows);
const answers = calls.map((call) => {
  try { return found(...call); } catch (error) { return error.message; }
});
console.log(JSON.stringify(answers));
"""
ODD = 'it\'s "a"\n\u202e😀'


def call(name: str, calls: list[list[Any]]) -> Any:
    """Call a function of rows.js in Node.js, once for each list of arguments."""
    script = files("gradline.serve").joinpath("rows.js")
    done = subprocess.run(
        [need("node"), "-e", f"(async () => {{ {SCRIPT} }})()", str(script)],
        input=json.dumps({"name": name, "calls": calls}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def exists(seconds: int, zone: str | None) -> bool:
    """Tell whether a zone's clocks ever show this time."""
    if zone is None or zone[0] in "+-":
        return True
    shown = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    instant = shown.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == shown


@pytest.mark.parametrize("zone", [None, "UTC", "+05:30", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    "format", [None, "%d/%m/%Y %H:%M:%S", "%I:%M:%S %p, %A %B %d %Y", "%y-%b-%d %a %H:%M:%S.%f"]
)
def test_times_are_read_as_the_same_seconds(zone: str | None, format: str | None) -> None:
    if zone is not None and format is not None:
        format += " %z"
    column = Column("at", "time", format=format, zone=zone)
    random = np.random.default_rng(0)
    around = [s + 600 * k for s in (1711846800, 1729987200, 1710028800) for k in range(-12, 12)]
    drawn = random.integers(0, 3_000_000_000, 200).tolist()
    seconds = [s for s in (0, 86_399, *around, *drawn) if exists(s, zone)]
    texts = call("timeText", [[dump_column(column), s] for s in seconds])
    assert values_of(column, texts).tolist() == seconds


def test_a_day_is_written_as_a_date() -> None:
    column = dump_column(Column("at", "time"))
    assert call("timeText", [[column, 86_400], [column, 90_000], [column, 90_001]]) == [
        "1970-01-02", "1970-01-02T01:00", "1970-01-02T01:00:01",
    ]  # fmt: skip


def test_instances_hold_missing_values_as_null() -> None:
    names = ["a", "b", "c", "d"]
    columns = [{"name": name, "kind": "number"} for name in names]
    (found,) = call("instanceOf", [[columns, [1.5, None, "", 2008]]])
    assert found == {"a": 1.5, "b": None, "c": None, "d": 2008}


@pytest.mark.parametrize("language", ["curl", "Python", "JavaScript"])
def test_snippets_hold_odd_text_as_it_is(language: str) -> None:
    instance = {ODD: ODD, "gone": None, "n": 2}
    (code,) = call(f"snippets.{language}", [["http://h/v1/models/m:predict", instance, None]])
    assert code.replace("\n", "").isprintable()
    if language == "curl":
        found = json.loads(shlex.split(code)[-1])
    elif language == "Python":
        line = next(line for line in code.split("\n") if line.startswith("body = "))
        found = json.loads(json.dumps(ast.literal_eval(line.removeprefix("body = "))))
    else:
        start = code.index("JSON.stringify(") + len("JSON.stringify(")
        text = code[start : code.index("),\n});", start)].replace("instances", '"instances"', 1)
        found = json.loads(text)
    assert found == {"instances": [instance]}


def test_pasted_text_of_a_package_with_terms_stays_text() -> None:
    columns = [{"name": "a", "kind": "number"}, {"name": "b", "kind": "category", "levels": []}]
    told = call(
        "pasted",
        [
            ["b,a\nx,\n,$1", columns, True],
            ["1,x", columns, False],
            ["$1,x", columns, False],
            ["1", columns, True],
            ["a,b", columns, True],
        ],
    )
    assert told == [
        [{"a": None, "b": "x"}, {"a": "$1", "b": None}],
        [{"a": 1, "b": "x"}],
        "row 1: a: $1 is not a number",
        "row 1: 1 values, expected 2",
        "there are no rows below the header",
    ]
