"""The examples of code in a report run as they are printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradline
from cafe_package import PLAN, answer, cafe_package
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor
from gradline_export import export_package
from gradline_export.report.examples import examples_of_use
from gradline_trainer import fit
from hosts import need, npm
from public_tables import penguins
from serving import serving

ODD = 'a "b",\n\u202ec \U000e0001'


def manifest(plan: Plan, **means: float) -> dict[str, Any]:
    figures = {name: {"mean": mean} for name, mean in means.items()}
    schema = {"features": plan.features, "targets": ["y"], "dtype": "float32", **plan.dump()}
    return {"name": "cafes", "schema": schema, "columns": figures}


def cafes() -> dict[str, str]:
    return examples_of_use(manifest(PLAN, size=71.5, **{"time(opened)": 19791.5}), [])


def test_columns_come_with_their_own_values() -> None:
    found = cafes()
    assert found["Command line"] == "gradline predict artifacts/cafes new.csv"
    row = re.fullmatch(r"(?s).*model\.predict\((.*)\)", found["Python"])
    assert row is not None
    assert json.loads(row[1]) == {"size": 71.5, "region": "north", "opened": "2024-03-09"}
    body = json.loads(shlex.split(found["HTTP"])[-1])
    assert body == {"instances": [json.loads(row[1])]}


@pytest.mark.slow
@pytest.mark.parametrize("strict", [True, False])
def test_python_and_http_run_as_they_are_printed(
    strict: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    learned = fit(penguins(tmp_path), "body_mass_g", missing="drop", strict=strict)
    export_package(learned, tmp_path / "artifacts", "penguins")
    model = gradline.load("artifacts/penguins")
    assert model.plan.format == 1 + (not strict)
    code = examples_of_use(model.manifest, learned.columns.inputs)
    assert '"year": 2008' in code["Python"]
    values: dict[str, Any] = {}
    exec(code["Python"].replace("model.predict(", "answer = model.predict("), values)  # noqa: S102 - what people are told to copy
    serve, curl = code["HTTP"].split("\n")
    assert serve == "gradline serve artifacts/penguins"
    with serving("artifacts/penguins") as server:
        command = curl.replace("http://127.0.0.1:8080", server.address)
        done = subprocess.run(["sh", "-c", f"{command} --silent"], capture_output=True, check=True)
    assert json.loads(done.stdout) == {
        "predictions": [{"body_mass_g": float(values["answer"][0, 0])}]
    }


@pytest.mark.slow
def test_javascript_runs_as_it_is_printed(tmp_path: Path) -> None:
    cafe_package(tmp_path / "1")
    (tmp_path / "node_modules").symlink_to(npm("node") / "node_modules")
    code = cafes()["JavaScript"].replace("onnxruntime-web", "onnxruntime-node")
    script = tmp_path / "1" / "use.mjs"
    script.write_text(f"{code}\nconsole.log(y.data[0]);")
    done = subprocess.run(
        [need("node"), script], cwd=script.parent, check=True, capture_output=True, text=True
    )
    assert float(done.stdout) == pytest.approx(answer(71.5, "north", 1709942400), rel=1e-6)


@pytest.mark.parametrize(
    ("column", "factor", "mean", "written"),
    [
        (Column("a"), Factor("a", "log"), 0.0, 1.0),
        (Column("a", fill=3.5), Factor("a", "hinge", 2), 0.25, 3.5),
        (Column("a", "time"), Factor("a", "time"), 19791.6, "2024-03-09"),
        (
            Column("a", "time", fill=1709990100.0),
            Factor("a", "hour", level=1), 0.0, "2024-03-09T13:15",
        ),
        (Column("a", "time", zone="UTC"), Factor("a", "time"), 0.0, "1970-01-01T00:00:00+00:00"),
        (
            Column("a", "time", zone="Europe/Berlin"),
            Factor("a", "time"), 19905.0, "2024-07-01T00:00:00+02:00",
        ),
        (Column("a", "time", zone="+02:00"), Factor("a", "time"), 0.0, "1970-01-01T00:00:00+02:00"),
        (Column("a", "time", format="%d/%m/%Y"), Factor("a", "time"), 19791.0, "09/03/2024"),
        (Column("a", "category", ("p", "q")), Factor("a", level="p"), 0.5, "p"),
    ],
)  # fmt: skip
def test_values_are_written_as_the_table_has_them(
    column: Column, factor: Factor, mean: float, written: object
) -> None:
    plan = Plan((column,), ((factor,),))
    found = examples_of_use(manifest(plan, **{plan.features[0]: mean}), [])
    assert json.dumps({"a": written}) in found["Python"]


def test_odd_names_are_escaped_in_each_language() -> None:
    plan = Plan((Column(ODD),), ((Factor(ODD),),))
    found = examples_of_use(manifest(plan, **{ODD: 1.0}), [])
    assert all(code.replace("\n", "").isprintable() for code in found.values())
    body = json.loads(shlex.split(found["HTTP"])[-1])
    assert body["instances"] == [{ODD: 1.0}]
    mapping = found["Python"].partition("model.predict(")[2].removesuffix(")")
    assert eval(mapping) == {ODD: 1.0}  # noqa: S307 - what people are told to copy


def test_every_column_is_written_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).standard_normal((200, 90))
    found = fit((X, X @ np.ones(90)))
    export_package(found, tmp_path / "artifacts", "wide")
    model = gradline.load("artifacts/wide")
    code = examples_of_use(model.manifest, found.columns.inputs)
    assert "…" not in "".join(code.values())
    exec(code["Python"], {})  # noqa: S102 - what people are told to copy


def test_beyond_a_thousand_columns_only_the_command_is_shown() -> None:
    names = [f"x{j}" for j in range(1001)]
    plan = Plan(tuple(map(Column, names)), tuple((Factor(name),) for name in names))
    assert list(examples_of_use(manifest(plan, **dict.fromkeys(names, 0.0)), [])) == [
        "Command line"
    ]
