"""Rows by name over HTTP, missing values in JSON, and what a request asks for besides."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradline
from gradline.serve.application import Application
from gradline.serve.limits import Limits
from gradline.serve.metrics import ServerMetrics
from gradline.serve.protocol import inference
from gradline.serve.repository import Repository
from gradline_export import export_package
from gradline_trainer import fit

PREDICT = "/v1/models/shop:predict"
INFER = "/v2/models/shop/infer"
Reply = tuple[int, Any]


def table() -> pl.DataFrame:
    """A table with a column of each kind and missing values."""
    chance = np.random.default_rng(3)
    n = 120
    size = chance.uniform(10.0, 200.0, n).round(1)
    first = datetime.date(2021, 1, 1)
    columns = {
        "price": [f"${v:,.2f}" for v in chance.uniform(800.0, 3000.0, n)],
        "size": [None if i % 9 == 0 else v for i, v in enumerate(size.tolist())],
        "store": [None if i % 8 == 0 else "ABC"[i % 3] for i in range(n)],
        "promo": chance.choice([True, False], n).tolist(),
        "day": [first + datetime.timedelta(days=11 * i) for i in range(n)],
        "sales": (2 * size + chance.normal(0.0, 5.0, n)).tolist(),
    }
    return pl.DataFrame({**columns, "visits": np.exp(0.01 * size + chance.normal(0.0, 0.1, n))})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fitted = fit(table(), ["sales", "log(visits)"])
    return export_package(fitted, tmp_path_factory.mktemp("artifacts"), "shop")


@pytest.fixture(scope="module")
def model(shop: Path) -> gradline.Model:
    return gradline.load(shop)


@pytest.fixture(scope="module")
def app(shop: Path, orchard_package: Path) -> Application:
    return application(shop, orchard_package)


def application(*paths: Path, **limits: Any) -> Application:
    metrics = ServerMetrics()
    return Application(Repository(paths, metrics), metrics, Limits(**limits))


def ask(app: Application, path: str, body: Any = None, method: str = "", **headers: str) -> Reply:
    """Ask the application itself; a POST where there is a body."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent: list[Any] = []
    found = {"host": "localhost", "content-length": str(len(data)), **headers}
    scope = {
        "type": "http",
        "method": method or ("GET" if body is None else "POST"),
        "path": path,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in found.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    answer = sent[1]["body"]
    if dict(sent[0]["headers"])[b"content-type"] != b"application/json":
        return sent[0]["status"], answer
    return sent[0]["status"], json.loads(answer, parse_constant=pytest.fail)


def predicted(reply: Reply) -> Any:
    status, found = reply
    assert status == 200, found
    return found


def fault(reply: Reply, status: int = 400) -> str:
    assert reply[0] == status, reply
    assert set(reply[1]) == {"error"}
    return str(reply[1]["error"])


def row(**changes: Any) -> dict[str, Any]:
    usual = {"price": "$1,300.00", "size": 80.5, "store": "B", "promo": True, "day": "2022-03-09"}
    return {**usual, **changes}


def tensor(data: Any, datatype: str, name: str = "x") -> dict[str, Any]:
    return {"name": name, "shape": list(np.shape(data)), "datatype": datatype, "data": data}


def answers_of(model: gradline.Model, rows: Any) -> Any:
    """Predict without warnings."""
    return model.answer(model.read(rows))[0]


def nan_is_none(values: Any) -> Any:
    return [[None if math.isnan(v) else v for v in row] for row in np.asarray(values).tolist()]


# Rows by name


INSTANCES = st.fixed_dictionaries(
    {
        "price": st.none()
        | st.integers(-(10**6), 10**6)
        | st.floats(-1e6, 1e6)
        | st.sampled_from(["$1,300.00", " 20", "n/a", "", "1e3", "$5"]),
        "size": st.none() | st.integers(-1000, 1000) | st.floats(-1e3, 1e3) | st.just("12.5"),
        "store": st.sampled_from(["A", "B", " C ", "", None, "unheard of"]),
        "promo": st.booleans() | st.sampled_from([None, "true", "False"]),
        "day": st.none()
        | st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)).map(str)
        | st.just("2024-02-29T10:00"),
    }
)


@given(instances=st.lists(INSTANCES, min_size=1, max_size=5))
@settings(deadline=None, max_examples=200)
def test_rows_by_name_have_the_bits_of_predict(
    instances: list[dict[str, Any]], app: Application, model: gradline.Model
) -> None:
    found = predicted(ask(app, PREDICT, {"instances": instances}))["predictions"]
    expected = nan_is_none(answers_of(model, instances))
    assert [[r["sales"], r["visits"]] for r in found] == expected


def test_an_answer_at_once_is_the_same(app: Application) -> None:
    body = json.dumps({"instances": [row(), row(size=None, store=None)]}).encode()
    headers = [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))]
    assert app.at_once(PREDICT.encode(), headers) == "shop"
    status, _, answer = app.answer_at_once(PREDICT.encode(), headers, body)
    assert (status, json.loads(answer)) == ask(app, PREDICT, body)
    assert app.at_once(b"/v1/models/shop/versions/1:predict", headers) is None
    assert app.at_once(b"/v1/models/shop", headers) is None
    assert app.at_once(b"/v1/models/nobody:predict", headers) is None


def test_rows_of_plain_numbers_may_be_lists(app: Application, orchard_package: Path) -> None:
    rows = [[73.0, 67.0, 43.0], [91, 88, None]]
    path = "/v1/models/orchard/versions/1:predict"
    (first, second) = predicted(ask(app, path, {"instances": rows}))["predictions"]
    expected = gradline.load(orchard_package).predict(rows[:1])[0].tolist()
    assert list(first) == ["apples", "oranges"]
    assert list(first.values()) == expected
    assert list(second.values()) == [None, None]
    names = ["humidity", "temperature", "rainfall"]
    by_name = dict(zip(names, [43, 73, 67], strict=True))
    assert predicted(ask(app, path, {"instances": [by_name]}))["predictions"] == [first]
    assert "instance 0 is an array, expected an object" in fault(
        ask(app, PREDICT, {"instances": [[1, 2, 3, 4, 5]]})
    )


BAD: dict[str, tuple[Any, str]] = {
    "no object": ([], "not a prediction request"),
    "no instances": ({}, "missing required field `instances`"),
    "the columns' form": ({"inputs": {}}, "unknown field `inputs`"),
    "none": ({"instances": []}, "instances: the list is empty"),
    "one object": ({"instances": row()}, "Expected `array`"),
    "a number": ({"instances": [row(), 5]}, "instance 1 is a number, expected an object"),
    "mixed forms": ({"instances": [row(), [1]]}, "instance 1 is an array, expected an object"),
    "nothing": ({"instances": [None]}, "instance 0 is null, expected an object"),
    "text": ({"instances": ["a"]}, "instance 0 is text, expected an object"),
    "an extra key": (
        {"instances": [row(), row(prise=3)]},
        "instance 1 has the unknown column 'prise'",
    ),
    "a near key": (
        {"instances": [{**{k: v for k, v in row().items() if k != "store"}, "stor": "B"}]},
        "instance 0 has the unknown column 'stor' (did you mean 'store'?)",
    ),
    "a missing key": (
        {"instances": [row(), {k: v for k, v in row().items() if k != "day"}]},
        "instance 1 lacks the column 'day' (give every column in each row; None or null",
    ),
    "an array in it": (
        {"instances": [row(), row(size=[1])]},
        "instance 1: the column 'size' holds an array, expected a number, text, true, false or nul",
    ),
    "an object in it": (
        {"instances": [row(store={"a": 1})]},
        "instance 0: the column 'store' holds an object, expected",
    ),
    "no number": (
        {"instances": [row(), row(size="wide")]},
        "the column 'size' holds 'wide' in instance 1, expected a number",
    ),
    "truth for a number": (
        {"instances": [row(size=True)]},
        "the column 'size' holds True in instance 0, expected a number (give 1 for true",
    ),
    "no time": (
        {"instances": [row(day="today")]},
        "the column 'day' holds 'today' in instance 0, expected a time such as 2024-03-09",
    ),
    "a number for a time": ({"instances": [row(day=5)]}, "'day' holds 5 in instance 0, expected"),
    "a long integer": (
        {"instances": [row(size=2**53 + 1)]},
        "the column 'size' holds the integer 9007199254740993 in instance 0",
    ),
    "an unknown parameter": (
        {"instances": [row()], "parameters": {"interval": 0.5}},
        "unknown field `interval` - at `$.parameters`",
    ),
    "a level of 1": (
        {"instances": [row()], "parameters": {"intervals": 1}},
        "Expected `float` < 1.0 - at `$.parameters.intervals`",
    ),
    "a level of truth": ({"instances": [row()], "parameters": {"intervals": True}}, "intervals`"),
    "explain of text": ({"instances": [row()], "parameters": {"explain": "yes"}}, ".explain`"),
}


@pytest.mark.parametrize(("request_", "told"), BAD.values(), ids=BAD)
def test_a_wrong_instance_is_told_with_its_column(
    request_: Any, told: str, app: Application
) -> None:
    assert told in fault(ask(app, PREDICT, request_))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"rainfall": "much"}, "the column 'rainfall' holds 'much' in instance 1, not a number"),
        ({"rainfall": 1e39}, "the column 'rainfall' holds 1e+39 in instance 1, outside the range"),
    ],
)
def test_plain_numbers_are_told_the_same_way(
    values: dict[str, Any], told: str, app: Application
) -> None:
    good: dict[str, Any] = {"temperature": 73, "rainfall": 67, "humidity": 43}
    found = fault(ask(app, "/v1/models/orchard:predict", {"instances": [good, {**good, **values}]}))
    assert told in found
    for wrong, told in (
        ([[1, 2, 3], [1, 2]], "instance 1 has 2 numbers, expected 3, one for each of ['temperatur"),
        ([[1, 2, 3], good], "instance 1: expected an array of 3 numbers, like instance 0"),
        ([[1, 2, "a"]], "instance 0: expected an array of 3 numbers"),
        ([[1, 2, 1e39]], "'humidity' holds 1e+39 in instance 0, outside the range of float32"),
    ):
        assert told in fault(ask(app, "/v1/models/orchard:predict", {"instances": wrong}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"instances": ' + b"[" * 100_000,
        b'{"instances": [' + b'{"size":' * 100_000,
        b'{"instances": [{"size": 1e999}]}',
        b'{"instances": [{"size": "\xff"}]}',
        b'{"instances": [{"size": ' + b"9" * 5000 + b"}]}",
    ],
)
def test_a_body_that_is_no_json_is_told_so_in_short(body: bytes, app: Application) -> None:
    assert len(fault(ask(app, PREDICT, body))) < 500


def test_a_category_that_format_1_does_not_know(tmp_path: Path) -> None:
    towns = pl.DataFrame({"town": ["a", "b", "a", "c"], "x": [1.0, 2, 3, 4], "y": [1.0, 4, 2, 9]})
    app = application(export_package(fit(towns, "y", one_hot="town", ridge=0.1), tmp_path, "shop"))
    good = {"town": "a", "x": 1}
    told = fault(ask(app, PREDICT, {"instances": [good, {**good, "town": "aa"}]}))
    assert told.startswith(
        "instance 1: the column 'town' has the unknown category 'aa' (did you mean "
    )
    asked = {"instances": [good], "parameters": {"intervals": 0.9}}
    assert "parameters: no intervals" in fault(ask(app, PREDICT, asked))


# What a request asks for besides


ASKED = {"intervals": 0.9, "explain": True, "check": True}


def test_intervals_explanations_and_checks_of_rows_by_name(
    app: Application, model: gradline.Model
) -> None:
    rows = [row(), row(size=5000), row(store="unheard of"), row(size=None)]
    found = predicted(ask(app, PREDICT, {"instances": rows, "parameters": ASKED}))
    read = model.read(rows)
    answers, ends, outside = model.answer(read, intervals=0.9, check=True)
    assert ends is not None
    assert outside is not None
    explanation = model.explain(rows)
    assert list(found) == ["predictions", "explanations", "outside"]
    for j, target in enumerate(("sales", "visits")):
        for key, values in (("", answers), ("_lower", ends[0]), ("_upper", ends[1])):
            told = [each[f"{target}{key}"] for each in found["predictions"]]
            assert told == [None if math.isnan(v) else v for v in values[:, j].tolist()]
        parts = [each[target] for each in found["explanations"]]
        assert list(parts[0]) == ["baseline", *explanation.columns]
        assert parts[0]["baseline"] == explanation.baseline[j]
        assert list(parts[1].values())[1:] == explanation.by_column[1, j].tolist()
        assert set(list(parts[2].values())[1:]) >= {None}
    assert found["outside"][0] == ""
    assert "size +" in found["outside"][1]
    assert found["outside"][2:] == ["store unknown", "size filled"]
    one = predicted(ask(app, PREDICT, {"instances": rows, "parameters": {"check": True}}))
    assert list(one) == ["predictions", "outside"]
    assert predicted(ask(app, PREDICT, {"instances": rows}))["predictions"] == one["predictions"]


def columns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kinds = {"price": "BYTES", "size": "FP64", "store": "BYTES", "promo": "BOOL", "day": "BYTES"}
    return [tensor([r[name] for r in rows], kind, name) for name, kind in kinds.items()]


def test_what_is_asked_for_is_an_output_of_infer(app: Application, model: gradline.Model) -> None:
    rows = [row(), row(size=5000), row(store="unheard of")]
    request = {"inputs": columns(rows), "parameters": ASKED}
    found = {each["name"]: each for each in predicted(ask(app, INFER, request))["outputs"]}
    answers, ends, _ = model.answer(model.read(rows), intervals=0.9)
    assert ends is not None
    groups = model.explain(rows).by_column
    expected = {"y": answers, "lower": ends[0], "upper": ends[1], "contributions": groups}
    assert list(found) == [*expected, "outside"]
    for name, values in expected.items():
        assert found[name]["shape"] == list(values.shape)
        given = np.array(found[name]["data"], np.float64).reshape(values.shape)
        np.testing.assert_array_equal(given, values)
    assert found["outside"]["datatype"] == "BYTES"
    assert found["outside"]["shape"] == [3]
    assert found["outside"]["data"][::2] == ["", "store unknown"]
    chosen = [
        {"name": "outside", "parameters": {"binary_data": True}},
        {"name": "lower"},
        {"name": "contributions", "parameters": {"binary_data": True}},
    ]
    status, body = ask(app, INFER, {**request, "outputs": chosen})
    assert status == 200
    texts = [text.encode() for text in found["outside"]["data"]]
    packed = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    assert body.endswith(packed + groups.tobytes())
    head = json.loads(body[: -len(packed) - groups.nbytes])
    assert [each["name"] for each in head["outputs"]] == ["outside", "lower", "contributions"]
    assert head["outputs"][1] == found["lower"]
    assert head["outputs"][0]["parameters"] == {"binary_data_size": len(packed)}


def test_an_output_that_was_not_asked_for_says_what_to_add(app: Application) -> None:
    request = {"inputs": columns([row()]), "outputs": [{"name": "upper"}]}
    told = fault(ask(app, INFER, request))
    assert told == 'outputs: for \'upper\', add "parameters": {"intervals": 0.95}'
    request["outputs"] = [{"name": "contributions"}]
    assert '"explain": true' in fault(ask(app, INFER, request))
    request["outputs"] = [{"name": "z"}]
    assert "no output 'z'; there are 'y'" in fault(ask(app, INFER, request))
    request["parameters"] = {"intervals": 2}
    assert "$.parameters.intervals" in fault(ask(app, INFER, request))


def test_a_model_without_intervals_says_why(tmp_path: Path) -> None:
    package = export_package(fit(table().drop("visits"), "sales", ridge=0.1), tmp_path, "shop")
    app = application(package)
    request = {"instances": [row()], "parameters": {"intervals": 0.9}}
    assert "parameters: no intervals: " in fault(ask(app, PREDICT, request))
    request = {"inputs": columns([row()]), "parameters": {"intervals": 0.9}}
    assert "parameters: no intervals: " in fault(ask(app, INFER, request))
    assert [each["name"] for each in optional(app)] == ["contributions", "outside"]
    bare = application(package / "model.onnx")
    for asked in ASKED:
        request["parameters"] = {asked: ASKED[asked]}
        assert "parameters: " in fault(ask(bare, INFER, request))
    assert optional(bare) == []


def optional(app: Application) -> list[dict[str, Any]]:
    properties = ask(app, "/v2/models/shop")[1]["properties"]
    found: list[dict[str, Any]] = json.loads(properties.get("optional_outputs", "[]"))
    return found


def test_the_metadata_describe_the_outputs_that_may_be_asked_for(
    app: Application, model: gradline.Model
) -> None:
    found = {each["name"]: each for each in optional(app)}
    assert [each["parameter"] for each in found.values()] == [
        *("intervals", "intervals", "explain", "check")
    ]
    request = {"inputs": columns([row()]), "parameters": ASKED}
    for output in predicted(ask(app, INFER, request))["outputs"][1:]:
        assert found[output["name"]]["datatype"] == output["datatype"]
        assert found[output["name"]]["shape"] == [-1, *output["shape"][1:]]
    explanation = model.explain([row()])
    assert found["contributions"]["columns"] == explanation.columns
    assert found["contributions"]["baseline"] == explanation.baseline.tolist()


def test_names_that_would_be_there_twice_are_refused(tmp_path: Path) -> None:
    x = np.arange(20.0)
    columns = {"baseline": x, "a": x + 1 + x % 3, "a_lower": x % 5}
    package = export_package(fit(columns, ["a", "a_lower"]), tmp_path, "shop")
    app = application(package)
    for asked, name in (("intervals", "'a_lower'"), ("explain", "'baseline'")):
        request = {"instances": [[1.0]], "parameters": {asked: ASKED[asked]}}
        assert f"the name {name} twice; use infer" in fault(ask(app, PREDICT, request))


# Missing values


def test_null_is_a_missing_value_of_each_kind(app: Application, model: gradline.Model) -> None:
    rows = [row(), row(size=None, store=None), row(promo=None), row(day=None)]
    expected = nan_is_none(answers_of(model, rows))
    assert expected[1][0] is not None  # filled
    assert expected[2] == expected[3] == [None, None]
    found = predicted(ask(app, INFER, {"inputs": columns(rows)}))["outputs"][0]
    assert np.reshape(np.array(found["data"], object), (4, 2)).tolist() == expected
    assert predicted(ask(app, PREDICT, {"instances": rows}))["predictions"] == [
        dict(zip(["sales", "visits"], each, strict=True)) for each in expected
    ]
    for kind, name, values in (
        ("INT64", "size", [80, None, 3, 4]),
        ("INT8", "size", [80, None, 3, 4]),
        ("FP32", "size", [[80.5], [None], [3], [4]]),
        ("INT64", "day", [0, None, 86400, None]),
        ("FP64", "day", [0, None, 86400.5, None]),
        ("INT32", "store", [1, None, 2, 3]),
    ):
        inputs = [t for t in columns([row()] * 4) if t["name"] != name]
        inputs.append(tensor(values, kind, name))
        (output,) = predicted(ask(app, INFER, {"inputs": inputs}))["outputs"]
        flat = np.ravel(np.array(values, object)).tolist()
        if name == "day":
            flat = [None if v is None else f"1970-01-0{int(v) // 86400 + 1}" for v in flat]
        same = answers_of(model, [row(**{name: value}) for value in flat])
        assert np.array(output["data"], np.float64).tolist() == pytest.approx(
            same.ravel().tolist(), abs=0, nan_ok=True
        )


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64", "UINT8", "BOOL"])
@pytest.mark.parametrize("nested", [True, False])
def test_null_is_a_missing_value_by_index(
    datatype: str, nested: bool, app: Application, orchard_package: Path
) -> None:
    rows = [[1, 0, 1], [0, None, 1]]
    rows = [[None if v is None else v > 0 for v in r] for r in rows] if datatype == "BOOL" else rows
    given = tensor(rows, datatype)
    if not nested:
        given["data"] = [v for r in rows for v in r]
    (found,) = predicted(ask(app, "/v2/models/orchard/infer", {"inputs": [given]}))["outputs"]
    expected = gradline.load(orchard_package).predict([[1.0, 0.0, 1.0]])[0].tolist()
    assert found["data"] == [*expected, None, None]


def test_null_takes_the_fill_of_format_1(tmp_path: Path) -> None:
    x = [1.0, 2.0, None, 4.0, 6.0]
    fitted = fit({"a": x, "b": [1.0, 0, 1, 0, 2], "y": [2.0, 4, 5, 8, 11]}, "y", missing="mean")
    package = export_package(fitted, tmp_path, "shop")
    app, model = application(package), gradline.load(package)
    assert model.plan.format == 1
    expected = answers_of(model, {"a": [None, 3.0], "b": [1.0, 1.0]}).ravel().tolist()
    assert not any(map(math.isnan, expected))
    by_index = tensor([[None, 1.0], [3.0, 1.0]], "FP64")
    by_name = [tensor([None, 3], "INT32", "a"), tensor([1.0, 1.0], "FP32", "b")]
    for inputs in ([by_index], by_name):
        assert predicted(ask(app, INFER, {"inputs": inputs}))["outputs"][0]["data"] == expected
    found = ask(app, PREDICT, {"instances": [[None, 1], {"a": 3, "b": 1}][:1]})
    assert predicted(found)["predictions"] == [{"y": expected[0]}]


def test_texts_and_nulls_are_counted(app: Application) -> None:
    for data, shape in ((["null", None], [3]), ([None] * 3, [2]), (["a", "b", None], [2])):
        given = {**tensor(data, "BYTES", "store"), "shape": shape}
        assert "shape" in fault(ask(app, INFER, {"inputs": [given]}))


def test_many_pieces_may_have_nulls(app: Application, orchard_package: Path) -> None:
    rows = np.random.default_rng(0).integers(-1000, 1000, (20_000, 3)).tolist()
    rows[17][1] = rows[19_000][0] = None
    expected = nan_is_none(answers_of(gradline.load(orchard_package), rows))
    for datatype in ("FP32", "INT64"):
        given = tensor(rows, datatype)
        (found,) = predicted(ask(app, "/v2/models/orchard/infer", {"inputs": [given]}))["outputs"]
        assert found["data"] == [v for r in expected for v in r]


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_python_writes_tokens_that_are_not_json(token: str, app: Application) -> None:
    flat = '{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1, %s,2]}]}'
    nested = '{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[[%s,1,2]]}]}'
    for body in (flat % token, nested % token):
        told = fault(ask(app, "/v2/models/orchard/infer", body.encode()))
        assert "is not JSON: send null for a missing value, or binary tensors to infer" in told
        assert token.strip("-") in told
    by_name = f'{{"instances": [{{"size": {token}}}]}}'
    assert "is not JSON: send null" in fault(ask(app, PREDICT, by_name.encode()))


def test_an_infinite_answer_has_no_form_in_json(tmp_path: Path) -> None:
    steep = fit({"a": [0.0, 1, 2], "y": [0.0, 1e30, 2e30]}, "y", dtype="float32")
    app = application(export_package(steep, tmp_path, "shop"))
    told = fault(ask(app, PREDICT, {"instances": [[1.0], [1e20]]}), 422)
    assert told.startswith("'y' in row 1 is inf, which JSON cannot represent; ask infer for bin")


# Rows outside the training ranges are counted


def outside_count(app: Application, name: str = "shop") -> float:
    text = ask(app, "/metrics")[1].decode()
    start = f'gradline_rows_outside_total{{model="{name}",version="1"}} '
    return sum(
        float(line.removeprefix(start)) for line in text.splitlines() if line.startswith(start)
    )


def test_rows_outside_the_training_ranges_are_counted(shop: Path, orchard_package: Path) -> None:
    app = application(shop, orchard_package)
    rows = [row(), row(size=5000), row(store="unheard of"), row(size=None), row(day="2030-01-01")]
    ask(app, PREDICT, {"instances": rows})
    assert outside_count(app) == 2
    ask(app, INFER, {"inputs": columns(rows)})
    ask(app, INFER, {"inputs": columns(rows), "parameters": {"check": True}})
    assert outside_count(app) == 6
    model = gradline.load(shop)
    ask(app, INFER, {"inputs": [tensor(model.read(rows[:2]).inputs.tolist(), "FP64")]})
    assert outside_count(app) == 7
    orchard = [[73.0, 67.0, 43.0], [1.0, 1.0, 1.0], [1e6, 67.0, 43.0]]
    many = [*orchard] * 30_000  # more than a batch
    for rows_ in (orchard, many):
        ask(app, "/v2/models/orchard/infer", {"inputs": [tensor(rows_, "FP32")]})
    assert outside_count(app, "orchard") == 2 + 60_000
    ask(app, "/v2/models/orchard/infer", {"inputs": [tensor([[1, 2]], "FP32")]})
    assert outside_count(app, "orchard") == 2 + 60_000


@given(rows=st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 3), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_what_is_counted_is_what_check_tells(
    rows: list[tuple[float, ...]], app: Application
) -> None:
    served = app.repository.models["orchard"].current
    x = np.array(rows, np.float32)
    outside = served.model.predict(x, check=True)[1]
    assert served.count_outside(x, served.plan_of_matrix) == outside.is_beyond.sum()


def test_a_long_batch_is_counted_at_once(orchard_package: Path) -> None:
    app = application(orchard_package)
    for n, kept in ((100, 1), (30_000, 0)):
        rows = [[73.0, 67.0, 43.0]] * n
        ask(app, "/v2/models/orchard/infer", {"inputs": [tensor(rows, "FP32")]})
        assert len(app.metrics._batches) == kept


def test_an_onnx_file_alone_counts_none(orchard_package: Path) -> None:
    app = application(orchard_package / "model.onnx")
    ask(app, "/v2/models/orchard/infer", {"inputs": [tensor([[1e9, 1.0, 1.0]], "FP32")]})
    assert outside_count(app, "orchard") == 0


# Around it


def test_the_models_are_listed_as_in_version_1(app: Application) -> None:
    assert ask(app, "/v1/models") == (200, {"models": ["orchard", "shop"]})
    for path in ("/v1/models/shop", "/v1/models/shop/versions/1"):
        status, found = ask(app, path)
        assert (status, found["name"], found["ready"]) == (200, "shop", True)
        (version,) = found["model_version_status"]
        assert (version["version"], version["state"]) == ("1", "AVAILABLE")
    assert "served: orchard, shop" in fault(ask(app, "/v1/models/shops:predict", {}), 404)
    assert "version '7'" in fault(ask(app, "/v1/models/shop/versions/7:predict", {}), 404)
    assert "/v1/models/NAME:predict" in fault(ask(app, "/v1/models/shop:classify", {}), 404)
    assert "use POST" in fault(ask(app, PREDICT), 405)
    assert "use GET, HEAD" in fault(ask(app, "/v1/models/shop", {}), 405)


def test_examples_of_the_openapi_document_are_answered(app: Application) -> None:
    document = ask(app, "/openapi.json")[1]
    operation = document["paths"]["/v1/models/{model}:predict"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert set(content["examples"]) == {"orchard", "shop"}
    for name, example in content["examples"].items():
        assert ask(app, f"/v1/models/{name}:predict", example["value"])[0] == 200
    asked = document["components"]["schemas"]["PredictParameters"]["properties"]
    assert set(asked) == set(ASKED)


def test_a_token_the_limit_and_the_metrics_hold_for_rows_by_name(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = application(shop, token=b"0123456789abcdef", body=2000, access_log=True)
    request = {"instances": [row()]}
    assert ask(app, PREDICT, request)[0] == 401
    token = {"authorization": "Bearer 0123456789abcdef"}
    assert ask(app, PREDICT, request, **token)[0] == 200
    assert ask(app, PREDICT, {"instances": [row()] * 50}, **token)[0] == 413
    body = gzip.compress(json.dumps({"instances": [row()] * 50}).encode())
    assert ask(app, PREDICT, body, content_encoding="gzip", **token)[0] == 413
    body = gzip.compress(json.dumps(request).encode())
    assert ask(app, PREDICT, body, content_encoding="gzip", **token)[0] == 200
    text = ask(app, "/metrics", **token)[1].decode()
    assert 'gradline_requests_total{code="200",model="shop"} 2.0' in text
    assert 'gradline_rows_total{model="shop",version="1"} 2.0' in text
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {"method": "POST", "path": PREDICT, "status": 200} in [
        {k: v for k, v in line.items() if k != "ms"} for line in lines
    ]


def test_a_large_body_is_answered_in_a_thread(app: Application, model: gradline.Model) -> None:
    rows = [row(size=float(i % 200)) for i in range(inference.LARGE // 60)]
    found = predicted(ask(app, PREDICT, {"instances": rows}))["predictions"]
    assert len(found) == len(rows)
    assert found[3]["sales"] == model.predict([rows[3]])[0, 0]


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["price", "size", "store", "", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    name=st.sampled_from(["shop", "orchard"]),
    instances=ANY_JSON
    | st.lists(ANY_JSON, max_size=3)
    | st.lists(st.fixed_dictionaries(dict.fromkeys(row(), ANY_JSON)), max_size=3),
    more=st.dictionaries(st.sampled_from(["parameters", "id"]), ANY_JSON, max_size=1),
)
@settings(deadline=None, max_examples=500)
def test_no_request_at_all_makes_the_server_fail(
    name: str, instances: Any, more: dict[str, Any], app: Application
) -> None:
    body = json.dumps({"instances": instances, **more}).encode()
    url = f"/v1/models/{name}:predict".encode()
    status, _, answer = app.answer_at_once(url, [(b"host", b"localhost")], body)
    assert status in (200, 400, 422), answer
    json.loads(answer, parse_constant=pytest.fail)
