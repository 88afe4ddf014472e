"""The Open Inference Protocol, asked of the application itself."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import shutil
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradline
from gradline.commands.group import run
from gradline.serve import app as app_of_environment
from gradline.serve.application import Application
from gradline.serve.limits import Limits
from gradline.serve.metrics import ServerMetrics
from gradline.serve.protocol import requests, tensors
from gradline.serve.protocol.bodies import decompress
from gradline.serve.protocol.errors import RequestError
from gradline.serve.protocol.inference import infer as infer_bytes
from gradline.serve.repository import Repository
from gradline_export import export_package
from gradline_trainer import fit
from serving import Answer, Server, ask_on, close, serving

INFER = "/v2/models/orchard/infer"
ROWS = [[73.0, 67.0, 43.0], [91.0, 88.0, 64.0]]
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def application(*paths: Path, **limits: Any) -> Application:
    metrics = ServerMetrics()
    return Application(Repository(paths, metrics), metrics, Limits(**limits))


@pytest.fixture(scope="module")
def app(orchard_package: Path) -> Application:
    return application(orchard_package)


@pytest.fixture(scope="module")
def model(orchard_package: Path) -> gradline.Model:
    return gradline.load(orchard_package)


def ask(
    app: Application, path: str, body: bytes | None = None, method: str = "", **headers: str
) -> Reply:
    """Return the application's answer; a POST where there is a body."""
    data = body or b""
    sent: list[Any] = []
    found = {"host": "localhost", "content-length": str(len(data)), **headers}
    scope = {
        "type": "http",
        "method": method or ("GET" if body is None else "POST"),
        "path": path,
        "headers": [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in found.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, end = sent
    names = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    assert int(names["content-length"]) == len(end["body"])
    return Reply(start["status"], names, end["body"])


def infer(app: Application, request: Any, path: str = INFER, **headers: str) -> Reply:
    return ask(app, path, json.dumps(request).encode(), **headers)


def tensor(data: Any, datatype: str = "FP32", name: str = "x", **more: Any) -> dict[str, Any]:
    shape = list(np.shape(data))
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def outputs(reply: Reply) -> Array:
    assert reply.status == 200, reply.body
    (output,) = reply.json["outputs"]
    return np.array(output["data"]).reshape(output["shape"])


def fault(reply: Reply, status: int = 400) -> str:
    assert reply.status == status, reply.body
    assert set(reply.json) == {"error"}
    return str(reply.json["error"])


# What there is to ask


def test_the_server_and_its_models_say_what_they_are(app: Application) -> None:
    for path in ("/v2", "/v2/"):
        assert ask(app, path).json["name"] == "gradline"
    assert ask(app, "/v2/health/live").json == {"live": True}
    assert ask(app, "/v2/health/ready").json == {"ready": True}
    for path in ("/v2/models/orchard", "/v2/models/orchard/versions/1"):
        found = ask(app, path).json
        assert (found["name"], found["versions"]) == ("orchard", ["1"])
        assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
        assert found["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}]
        assert json.loads(found["properties"]["targets"]) == ["apples", "oranges"]
        assert ask(app, f"{path}/ready").json == {"name": "orchard", "ready": True}
    index = ask(app, "/v2/repository/index", b"").json
    assert index == [{"name": "orchard", "version": "1", "state": "READY", "reason": ""}]
    assert b"gradline_model_version" in ask(app, "/metrics").body
    assert b"gradline-panel" in ask(app, "/").body


@pytest.mark.parametrize(
    ("path", "method", "status", "allowed"),
    [
        ("/v2/nothing", "GET", 404, None),
        ("/v2/models/none", "GET", 404, None),
        ("/v2/models/none/infer", "POST", 404, None),
        ("/v2/models/orchard/versions/7", "GET", 404, None),
        ("/v2/models/orchard/versions/../1", "GET", 404, None),
        ("/v2/models/../../etc/passwd", "GET", 404, None),
        (INFER, "GET", 405, "POST"),
        ("/v2", "DELETE", 405, "GET, HEAD"),
        ("/v2/repository/index", "GET", 405, "POST"),
        ("/v2/models/orchard", "OPTIONS", 405, "GET, HEAD"),
    ],
)
def test_what_is_not_there_or_not_so_asked_is_told(
    path: str, method: str, status: int, allowed: str | None, app: Application
) -> None:
    reply = ask(app, path, method=method)
    assert fault(reply, status)
    assert reply.headers.get("allow") == allowed


def test_the_openapi_document_names_what_is_served(orchard_package: Path, tmp_path: Path) -> None:
    table = {"town": ["a", "b", "a", "c"], "x": [1.0, 2, 3, 4], "y": [1.0, 4, 2, 9]}
    package = export_package(fit(table, "y", one_hot="town", ridge=0.1), tmp_path, "towns")
    shutil.copytree(package, package.with_name("2"))
    app = application(orchard_package, package.parent)
    found = ask(app, "/openapi.json").json
    operation = found["paths"]["/v2/models/{model}/versions/{version}/infer"]["post"]
    schemas = {each["name"]: each["schema"] for each in operation["parameters"]}
    assert schemas["model"]["enum"] == ["orchard", "towns"]
    assert schemas["version"]["enum"] == ["1", "2"]
    assert schemas["Inference-Header-Content-Length"]["minimum"] == 0
    assert "gzip" in schemas["Content-Encoding"]["enum"]
    content = operation["requestBody"]["content"]
    assert "application/octet-stream" in content
    for name, example in content["application/json"]["examples"].items():
        assert infer(app, example["value"], f"/v2/models/{name}/infer").status == 200
    assert all("head" in path for path in found["paths"].values() if "get" in path)
    assert "security" not in found
    asked = {"authorization": "Bearer 0123456789abcdef"}
    found = ask(application(orchard_package, token=b"0123456789abcdef"), "/openapi.json", **asked)
    assert found.json["security"] == [{"token": []}]
    assert found.json["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert found.json["paths"]["/v2/health/live"]["get"]["security"] == []


def test_head_is_answered_like_get(app: Application) -> None:
    assert ask(app, "/v2", method="HEAD").status == 200


# Inference in JSON


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64", "INT8", "UINT8", "UINT64"])
@pytest.mark.parametrize("nested", [True, False])
def test_rows_of_any_number_type_nested_or_flat(
    datatype: str, nested: bool, app: Application, model: gradline.Model
) -> None:
    rows = [[int(v) if "INT" in datatype else v for v in row] for row in ROWS]
    request = tensor(rows, datatype)
    if not nested:
        request["data"] = [value for row in rows for value in row]
    assert (outputs(infer(app, {"inputs": [request]})) == model.predict(ROWS)).all()


def test_booleans_are_ones_and_zeros(app: Application, model: gradline.Model) -> None:
    found = outputs(infer(app, {"inputs": [tensor([[True, False, True]], "BOOL")]}))
    assert (found == model.predict([[1, 0, 1]])).all()


def test_what_an_answer_repeats_of_its_request(app: Application) -> None:
    request: dict[str, Any] = {"inputs": [tensor(ROWS)]}
    for told, shown in (({"id": "a☃"}, "a☃"), ({}, None), ({"id": None}, None), ({"id": ""}, "")):
        found = infer(app, {**request, **told}).json
        assert found.get("id") == shown
        assert ("id" in found) == (shown is not None)
        assert (found["model_name"], found["model_version"]) == ("orchard", "1")
    assert infer(app, {**request, "outputs": [{"name": "y"}]}).json["outputs"][0]["name"] == "y"
    assert infer(app, {**request, "outputs": []}).json["outputs"] == []
    assert "'z'" in fault(infer(app, {**request, "outputs": [{"name": "z"}]}))


def test_an_empty_batch_has_an_empty_answer(app: Application) -> None:
    request = {"name": "x", "shape": [0, 3], "datatype": "FP32", "data": []}
    (output,) = infer(app, {"inputs": [request]}).json["outputs"]
    assert (output["shape"], output["data"]) == ([0, 2], [])


def test_features_come_in_the_order_that_is_named(app: Application, model: gradline.Model) -> None:
    names = ["humidity", "temperature", "rainfall"]
    turned = [[row[2], row[0], row[1]] for row in ROWS]
    for request in (
        {"inputs": [tensor(turned)], "parameters": {"feature_names": names}},
        {"inputs": [tensor(turned, parameters={"feature_names": names})]},
    ):
        assert (outputs(infer(app, request)) == model.predict(ROWS)).all()
    wrongs = (["humidity", "rainfall"], ["a", "b", "c"], "humidity", 3, names[:2] * 2, [1, 2, 3])
    for wrong in wrongs:
        request = {"inputs": [tensor(turned)], "parameters": {"feature_names": wrong}}
        assert "feature_names" in fault(infer(app, request))


def test_names_of_many_features_are_found_at_once() -> None:
    names = [f"feature {place}" for place in range(20_000)]
    started = time.process_time()
    assert requests.feature_order(names[::-1], names) == list(range(20_000))[::-1]
    assert time.process_time() - started < 1


def test_columns_may_be_tensors_of_their_own(app: Application, model: gradline.Model) -> None:
    columns = dict(
        zip(["temperature", "rainfall", "humidity"], np.transpose(ROWS).tolist(), strict=True)
    )
    inputs = [tensor(values, name=name) for name, values in reversed(columns.items())]
    assert (outputs(infer(app, {"inputs": inputs})) == model.predict(ROWS)).all()
    assert "'temperature' is missing" in fault(infer(app, {"inputs": inputs[:1]}))
    for wrong, status in (["bogus"], 400), ([*columns], 200):
        named = {"feature_names": wrong}
        assert infer(app, {"inputs": inputs, "parameters": named}).status == status
        reply = infer(app, {"inputs": [*inputs[:2], {**inputs[2], "parameters": named}]})
        assert reply.status == status
    inputs[0]["name"] = "humidiny"
    assert "did you mean" in fault(infer(app, {"inputs": inputs}))


BAD: dict[str, tuple[Any, str]] = {
    "no object": ([], "inference request"),
    "no inputs": ({}, "inputs"),
    "no shape": ({"inputs": [{"name": "x", "datatype": "FP32", "data": []}]}, "shape"),
    "an unknown type": ({"inputs": [tensor(ROWS, "BF16")]}, "BF16"),
    "text": ({"inputs": [tensor([["a", "b", "c"]])]}, "'x'"),
    "truth for numbers": ({"inputs": [tensor([[True, 1.5, 2]])]}, "'x'"),
    "numbers for truth": ({"inputs": [tensor([[1, 0, 1]], "BOOL")]}, "'x'"),
    "decimals for integers": ({"inputs": [tensor([[1.5, 0, 1]], "INT32")]}, "'x'"),
    "beyond INT8": ({"inputs": [tensor([[128, 0, 1]], "INT8")]}, "INT8"),
    "below UINT8": ({"inputs": [tensor([[-1, 0, 1]], "UINT8")]}, "UINT8"),
    "beyond INT64": ({"inputs": [tensor([[2**70, 0, 1]], "INT64")]}, "'x'"),
    "beyond FP32": ({"inputs": [tensor([[1e39, 0, 1]])]}, "FP32"),
    "beyond FP16": ({"inputs": [tensor([[65520, 0, 1]], "FP16")]}, "FP16"),
    "beyond the graph's": ({"inputs": [tensor([[1e39, 0, 1]], "FP64")]}, "float32"),
    "too few columns": ({"inputs": [tensor([[1.0, 2.0]])]}, "[rows, 3]"),
    "one dimension": ({"inputs": [tensor([1.0, 2.0, 3.0])]}, "'x'"),
    "three dimensions": ({"inputs": [tensor([[[1.0, 2.0, 3.0]]])]}, "'x'"),
    "ragged": ({"inputs": [{**tensor(ROWS), "data": [[1, 2, 3], [4, 5]]}]}, "shape"),
    "too many values": ({"inputs": [{**tensor(ROWS), "data": [1] * 7}]}, "7 values"),
    "a negative shape": ({"inputs": [{**tensor(ROWS), "shape": [-1, 3]}]}, "shape"),
    "a shape like a star": ({"inputs": [{**tensor(ROWS), "shape": [2**60, 3]}]}, "shape"),
    "no data": ({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32"}]}, "no data"),
    "a name twice": ({"inputs": [tensor(ROWS), tensor(ROWS)]}, "twice"),
    "an output twice": ({"inputs": [tensor(ROWS)], "outputs": [{"name": "y"}] * 2}, "twice"),
    "an id that is none": ({"inputs": [tensor(ROWS)], "id": 5}, "id"),
    "a shape of text": ({"inputs": [{**tensor(ROWS), "shape": "x"}]}, "at `$.inputs[0].shape`"),
    "an input of text": ({"inputs": ["x"]}, "at `$.inputs[0]`"),
    "an output of text": ({"inputs": [tensor(ROWS)], "outputs": ["x"]}, "at `$.outputs[0]`"),
    "outputs of text": ({"inputs": [tensor(ROWS)], "outputs": "x"}, "at `$.outputs`"),
    "too many inputs": ({"inputs": [tensor([1.0], name=n) for n in "abcd"]}, "at most 3"),
    "text for a number": ({"inputs": [tensor(["1"], "BYTES", "rainfall")]}, "expected numbers"),
    "texts of another count": ({"inputs": [{**tensor(["a"], "BYTES"), "shape": [1, 3]}]}, "'x'"),
    "rows of other widths": ({"inputs": [{**tensor(ROWS), "data": [[1], [2, 3, 4, 5, 6]]}]}, "'x'"),
    "a binary size of text": (
        {"inputs": [{**tensor(ROWS), "parameters": {"binary_data_size": "24"}}]},
        "at `$.inputs[0].parameters.binary_data_size`",
    ),
}


@pytest.mark.parametrize(("request_", "named"), BAD.values(), ids=BAD)
def test_a_request_that_does_not_fit_is_told_which_field(
    request_: Any, named: str, app: Application
) -> None:
    assert named in fault(infer(app, request_))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"inputs": NaN}', b"1"])
def test_a_body_that_is_no_json_is_told_so(body: bytes, app: Application) -> None:
    assert fault(ask(app, INFER, body))


def test_data_of_many_pieces_are_what_they_are_in_one(
    app: Application, model: gradline.Model
) -> None:
    random = np.random.default_rng(0)
    rows = random.integers(-1000, 1000, (20_000, 3))
    expected = model.predict(rows.astype(np.float32))
    for datatype in ("FP32", "INT64"):
        nested = tensor(rows.tolist(), datatype)
        flat = {**nested, "data": rows.ravel().tolist()}
        for spaces in ((", ", ": "), (",", ":"), ("\n ,\t", " : ")):
            for described in (nested, flat):
                body = json.dumps({"inputs": [described]}, separators=spaces).encode()
                assert len(body) > tensors.JSON_CHUNK
                assert (outputs(ask(app, INFER, body)) == expected).all()
    nested["data"][15_000][1] = 0.5
    assert "`$[15000][1]`" in fault(infer(app, {"inputs": [nested]}))
    flat["data"][45_001] = 0.5
    assert "`$[45001]`" in fault(infer(app, {"inputs": [flat]}))
    nested["data"][15_000:15_002] = [[1], [1, 2, 3, 4, 5]]
    assert "'x'" in fault(infer(app, {"inputs": [nested]}))


LONG = 16 << 20


def filled(start: bytes, unit: bytes, end: bytes) -> bytes:
    """Return a body of LONG bytes that is mostly one unit."""
    count = (LONG - len(start) - len(end)) // len(unit) - 1
    return start + unit * count + unit.rstrip(b",") + end


X_DATA = b'{"inputs":[{"name":"x","shape":[%d,3],"datatype":"%b","data":['
PARAMETERS = b'],"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}'
LONG_BODIES = {
    "empty rows": (X_DATA % (1, b"FP32"), b"[],", b"]}]}"),
    "empty rows, as many as values": (X_DATA % ((LONG - 58) // 9, b"FP32"), b"[],", b"]}]}"),
    "rows of one": (X_DATA % (1, b"FP64"), b"[1],", b"]}]}"),
    "texts": (X_DATA % (1, b"BYTES"), b'["a"],', b"]}]}"),
    "lists in parameters": (b'{"parameters":{"a":[', b"[],", b"]}," + PARAMETERS[2:]),
    "outputs": (b'{"outputs":[', b'{"name":"y"},', PARAMETERS),
    "inputs": (b'{"inputs":[', b'{"name":"x","shape":[],"datatype":"","data":[]},', b"]}"),
    "a name": (b'{"inputs":[{"name":"', "é".encode(), b'","shape":[1],"datatype":"","data":[1]}]}'),
    "a shape": (b'{"inputs":[{"name":"x","shape":[', b"1,", b'],"datatype":"FP32","data":[1]}]}'),
    "a type": (b'{"inputs":[{"name":"a","shape":[1],"data":[1],"datatype":"', b"x", b'"}]}'),
    "a number": (b'{"inputs":[{"name":"x","shape":[', b"9", b',3],"datatype":"FP32","data":[1]}]}'),
}


@pytest.mark.parametrize("parts", LONG_BODIES.values(), ids=LONG_BODIES)
def test_a_long_body_neither_takes_long_nor_is_answered_at_length(
    parts: tuple[bytes, bytes, bytes], app: Application
) -> None:
    body = filled(*parts)
    started = time.process_time()
    reply = ask(app, INFER, body)
    assert time.process_time() - started < 2.5
    assert reply.status == (200 if b"parameters" in parts[0] else 400), reply.body[:300]
    assert len(reply.body) < 2000


def test_infinities_have_no_place_in_json(tmp_path: Path, app: Application) -> None:
    text = '{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1,2,%s]}]}'
    for value in ("NaN", "Infinity", "-Infinity", "1e999"):
        assert fault(ask(app, INFER, (text % value).encode()))
    steep = fit({"a": [0.0, 1, 2], "y": [0.0, 1e30, 2e30]}, "y", dtype="float32")
    far = application(export_package(steep, tmp_path, "orchard"))
    reply = infer(far, {"inputs": [tensor([[1.0], [1e20]])]})
    assert "row 1, target 'y'" in fault(reply, 422)
    binary = {"inputs": [tensor([[1e20]])], "parameters": {"binary_data_output": True}}
    reply = infer(far, binary)
    assert np.isinf(np.frombuffer(reply.body[-4:], "<f4"))[0]


# The binary extension, and bodies


def packed(array: Array, **more: Any) -> tuple[bytes, str]:
    """Return a body of JSON and raw values, and the length of the former."""
    wire = {"float32": "FP32", "float64": "FP64", "int32": "INT32"}[str(array.dtype)]
    described = {"name": "x", "shape": list(array.shape), "datatype": wire}
    described["parameters"] = {"binary_data_size": array.nbytes}
    head = json.dumps({"inputs": [described], **more}).encode()
    return head + array.tobytes(), str(len(head))


def binary_output(reply: Reply) -> Array:
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/octet-stream"
    length = int(reply.headers["inference-header-content-length"])
    (output,) = json.loads(reply.body[:length])["outputs"]
    assert output["parameters"]["binary_data_size"] == len(reply.body) - length
    dtype = {"FP32": "<f4", "FP64": "<f8"}[output["datatype"]]
    return np.frombuffer(reply.body[length:], dtype).reshape(output["shape"])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_values_may_be_binary_in_and_out(
    dtype: str, app: Application, model: gradline.Model
) -> None:
    body, length = packed(np.array(ROWS, dtype))
    expected = model.predict(ROWS)
    assert (
        outputs(ask(app, INFER, body, inference_header_content_length=length)) == expected
    ).all()
    for more in (
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "y", "parameters": {"binary_data": True}}]},
    ):
        body, length = packed(np.array(ROWS, dtype), **more)
        reply = ask(app, INFER, body, inference_header_content_length=length)
        assert (binary_output(reply) == expected).all()
    raw = np.array(ROWS, np.float32).tobytes()
    reply = ask(app, INFER, raw, inference_header_content_length="0")
    assert (binary_output(reply) == expected).all()
    assert fault(ask(app, INFER, raw[:-1], inference_header_content_length="0"))
    assert fault(ask(app, INFER, body[:-1], inference_header_content_length=length))
    assert fault(ask(app, INFER, body + b"x", inference_header_content_length=length))
    for wrong in ("-1", "x", "99999"):
        assert fault(ask(app, INFER, body, inference_header_content_length=wrong))


def test_what_is_missing_passes_through_in_binary(app: Application) -> None:
    raw = np.array([[np.nan, 1, 2], [1, 2, 3]], np.float32).tobytes()
    found = binary_output(ask(app, INFER, raw, inference_header_content_length="0"))
    assert np.isnan(found).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize(
    ("coding", "squeeze"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("GZIP", gzip.compress),
        ("identity", bytes),
    ],
)
def test_compressed_bodies_are_inflated_within_the_limit(
    coding: str, squeeze: Any, orchard_package: Path, model: gradline.Model
) -> None:
    app = application(orchard_package, body=5000)
    body = json.dumps({"inputs": [tensor(ROWS)]}).encode()
    reply = ask(app, INFER, squeeze(body), content_encoding=coding)
    assert (outputs(reply) == model.predict(ROWS)).all()
    large = squeeze(body + b" " * 5000)
    assert fault(ask(app, INFER, large, content_encoding=coding), 413)
    if coding != "identity":
        assert fault(ask(app, INFER, body, content_encoding=coding))
        assert fault(ask(app, INFER, squeeze(body)[:-3], content_encoding=coding))


def test_a_gzip_body_may_be_of_several_members(
    orchard_package: Path, model: gradline.Model
) -> None:
    app = application(orchard_package, body=5000)
    body = json.dumps({"inputs": [tensor(ROWS)]}).encode()
    members = gzip.compress(body[:20]) + gzip.compress(b"") + gzip.compress(body[20:])
    found = outputs(ask(app, INFER, members, content_encoding="gzip"))
    assert (found == model.predict(ROWS)).all()
    for wrong, status in (
        (members[:-1], 400),
        (members + b"x", 400),
        (members + gzip.compress(b" " * 5000), 413),
        (gzip.compress(b"") * 250 + gzip.compress(b" " * 5001)[:-9], 413),
    ):
        assert fault(ask(app, INFER, wrong, content_encoding="gzip"), status)
    two = zlib.compress(body[:20]) + zlib.compress(body[20:])
    assert fault(ask(app, INFER, two, content_encoding="deflate"))
    started = time.process_time()
    with pytest.raises(RequestError, match="not gzip"):
        decompress(gzip.compress(b"") * 500_000, b"gzip", LONG)
    assert time.process_time() - started < 1


def test_other_kinds_of_bodies_are_refused(app: Application) -> None:
    body = json.dumps({"inputs": [tensor(ROWS)]}).encode()
    assert "br" in fault(ask(app, INFER, body, content_encoding="br"), 415)
    assert "image/png" in fault(ask(app, INFER, body, content_type="image/png"), 415)
    for kind in ("application/json; charset=utf-8", "application/x-www-form-urlencoded"):
        assert ask(app, INFER, body, content_type=kind).status == 200


# Equality


@given(
    rows=st.lists(
        st.tuples(*[st.floats(-(2.0**60), 2.0**60, width=32)] * 3), min_size=1, max_size=8
    )
)
@settings(deadline=None)
def test_every_way_gives_the_same_bits(
    rows: list[tuple[float, ...]], app: Application, model: gradline.Model, orchard_package: Path
) -> None:
    x = np.array(rows, np.float32)
    session = ort.InferenceSession(orchard_package / "model.onnx")
    expected = session.run(["y"], {"x": x})[0]
    assert (model.predict(x) == expected).all()
    in_json = json.dumps({"inputs": [tensor(x.astype(float).tolist())]}).encode()
    flat = json.dumps({"inputs": [{**tensor(rows), "data": x.astype(float).ravel().tolist()}]})
    body, length = packed(x, parameters={"binary_data_output": True})
    by_binary = binary_output(ask(app, INFER, body, inference_header_content_length=length))
    assert (by_binary == expected).all()
    for request in (in_json, flat.encode()):
        assert (outputs(ask(app, INFER, request)) == expected).all()
        headers = [(b"host", b"localhost"), (b"content-length", b"%d" % len(request))]
        assert app.at_once(INFER.encode(), headers) == "orchard"
        status, _, answer = app.answer_at_once(INFER.encode(), headers, request)
        assert status == 200
        assert answer == ask(app, INFER, request).body


WIDTHS = {"orchard": 3, "wide": 7}  # the one float32, the other float64
WAYS = ("flat", "nested", "columns", "raw", "binary", "gzip")


@dataclass(frozen=True)
class Served:
    """A server's process, and what it serves, loaded here too."""

    server: Server
    models: Mapping[str, gradline.Model]
    sessions: Mapping[str, ort.InferenceSession]


@pytest.fixture(scope="module")
def served(orchard_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("served")
    shutil.copytree(orchard_package, root / "orchard" / "1")
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(50, 7)), random.normal(size=(50, 3))
    export_package(fit((X, Y), dtype="float64"), root, "wide", report=False)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    models = {name: gradline.load(root / name) for name in WIDTHS}
    sessions = {
        name: ort.InferenceSession(root / name / "1" / "model.onnx", options) for name in WIDTHS
    }
    with serving(root) as server:
        yield Served(server, models, sessions)


def posted(name: str, body: bytes, *headers: str) -> bytes:
    """Return the bytes of a request to predict."""
    lines = [f"POST /v2/models/{name}/infer HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def asked(way: str, model: gradline.Model, x: Array) -> bytes:
    """Return a request to predict rows in one of the WAYS."""
    length = "Inference-Header-Content-Length: "
    if way == "raw":
        return posted(model.name, x.tobytes(), length + "0")
    if way == "binary":
        body, size = packed(x, outputs=[{"name": "y", "parameters": {"binary_data": True}}])
        return posted(model.name, body, length + size)
    inputs = [tensor(x.astype(float).tolist(), "FP64")]
    if way == "flat":
        kind = {"float32": "FP32", "float64": "FP64"}[str(x.dtype)]
        inputs = [{**tensor(x, kind), "data": x.astype(float).ravel().tolist()}]
    if way == "columns":
        columns = zip(model.features, x.T.astype(float).tolist(), strict=True)
        inputs = [tensor(values, "FP64", name) for name, values in reversed([*columns])]
    body = json.dumps({"inputs": inputs}).encode()
    if way == "gzip":
        return posted(model.name, gzip.compress(body), "Content-Encoding: gzip")
    return posted(model.name, body)


def answered(answer: Answer, dtype: np.dtype[Any]) -> Array:
    """Return the predictions of an answer, in JSON or binary."""
    assert answer.status == 200, answer.body[:300]
    length = re.search(rb"inference-header-content-length: (\d+)", answer.head)
    (output,) = json.loads(answer.body[: int(length[1])] if length else answer.body)["outputs"]
    data = np.frombuffer(answer.body[int(length[1]) :], dtype) if length else output["data"]
    return np.array(data, dtype).reshape(output["shape"])


async def all_at_once(port: int, requests: list[bytes]) -> list[Answer]:
    """Return the answers to requests that come at the same time, on a connection each."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in requests]
    pairs = zip(opened, requests, strict=True)
    try:
        return await asyncio.gather(*(ask_on(*streams, request) for streams, request in pairs))
    finally:
        for _, writer in opened:
            await close(writer)


@st.composite
def some_rows(draw: st.DrawFn) -> tuple[str, str, Array]:
    """Draw a model, one of the WAYS to ask it, and rows: few or some thousands."""
    name = draw(st.sampled_from([*WIDTHS]))
    values = st.floats(-(2.0**60), 2.0**60, width=32)
    row = st.tuples(*[values] * WIDTHS[name])
    x = np.array(draw(st.lists(row, min_size=1, max_size=5)), np.float64)
    x = np.tile(x, (draw(st.sampled_from([1, 1, 1, 1, 300])), 1))
    return name, draw(st.sampled_from(WAYS)), x.astype([np.float32, np.float64][name == "wide"])


@pytest.mark.slow
@given(batch=st.lists(some_rows(), min_size=8, max_size=16))
@settings(deadline=None, max_examples=100)
def test_every_way_gives_the_same_bits_where_many_ask_at_once(
    batch: list[tuple[str, str, Array]], served: Served
) -> None:
    requests = [asked(way, served.models[name], x) for name, way, x in batch]
    answers = asyncio.run(all_at_once(served.server.port, requests))
    for (name, way, x), answer in zip(batch, answers, strict=True):
        expected = served.sessions[name].run(["y"], {"x": x})[0]
        assert served.models[name].predict(x).tobytes() == expected.tobytes()
        assert answered(answer, x.dtype).tobytes() == expected.tobytes(), (name, way, x)


ANY_BYTES = st.binary(max_size=400) | st.text(max_size=200).map(str.encode)
A_BODY = json.dumps({"inputs": [tensor(ROWS)]}).encode()
SPOILED = st.builds(
    lambda start, end, between: A_BODY[:start] + between + A_BODY[end:],
    st.integers(0, len(A_BODY)),
    st.integers(0, len(A_BODY)),
    st.binary(max_size=8) | st.sampled_from([b"null", b"[", b"{}", b"1e999", b'"', b"-1", b"x"]),
)
HEADERS = st.sampled_from(
    [(), (), ("Inference-Header-Content-Length: 0",), ("Inference-Header-Content-Length: 7",),
     ("Content-Encoding: gzip",), ("Content-Encoding: deflate",)]
)  # fmt: skip


@pytest.mark.slow
def test_no_bytes_at_all_in_a_body_make_a_real_server_fail(served: Served) -> None:
    usual = posted("orchard", A_BODY)
    expected = served.models["orchard"].predict(ROWS)
    streams: list[Any] = []

    async def both(request: bytes) -> tuple[Answer, Answer]:
        """Return the answers to a request and to a usual one behind it, on one connection."""
        if not streams:
            streams.extend(await asyncio.open_connection("127.0.0.1", served.server.port))
        first = await ask_on(*streams, request)
        if first.closes:
            await close(streams[1])
            streams[:] = await asyncio.open_connection("127.0.0.1", served.server.port)
        return first, await ask_on(*streams, usual)

    with asyncio.Runner() as runner:

        @given(body=ANY_BYTES | SPOILED, headers=HEADERS)
        @settings(deadline=None, max_examples=5000)
        def holds(body: bytes, headers: tuple[str, ...]) -> None:
            first, second = runner.run(both(posted("orchard", body, *headers)))
            assert first.status < 500, first.body
            assert (answered(second, expected.dtype) == expected).all()

        holds()
        runner.run(close(streams[1]))


@given(body=ANY_BYTES)
@settings(deadline=None, max_examples=500)
def test_no_bytes_at_all_make_the_server_fail(body: bytes, app: Application) -> None:
    headers = [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))]
    assert app.answer_at_once(INFER.encode(), headers, body)[0] in (200, 400)
    for length in (None, 0, 7):
        with suppress(RequestError):  # what a client is told
            infer_bytes(app.repository.models["orchard"].current, body, length)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(
    name=st.sampled_from(["x", "rainfall", ""]) | st.text(max_size=3),
    shape=JSON_VALUES | st.lists(st.integers(-2, 4), max_size=3),
    datatype=st.sampled_from(["FP32", "FP64", "INT8", "BOOL", "BYTES", "?"]),
    data=JSON_VALUES | st.lists(st.integers(-300, 300), max_size=7),
    more=st.dictionaries(st.sampled_from(["id", "outputs", "parameters"]), JSON_VALUES),
)
@settings(deadline=None, max_examples=1000)
def test_no_request_at_all_makes_the_server_fail(
    name: str, shape: Any, datatype: str, data: Any, more: Any, app: Application
) -> None:
    described = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    body = json.dumps({"inputs": [described], **more}).encode()
    headers = [(b"host", b"localhost")]
    assert app.answer_at_once(INFER.encode(), headers, body)[0] in (200, 400, 422)


# Categories and fills


def test_a_model_with_categories_takes_its_text(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"town": ["a", "b", "a", "ç"], "x": [1.0, 2, None, 4], "y": [1.0, 4, 2, 9]}
    )
    package = export_package(
        fit(table, "y", one_hot="town", missing="mean", ridge=0.1), tmp_path, "orchard"
    )
    app, model = application(package), gradline.load(package)
    expected = model.predict(table.select("town", "x").head(2))
    inputs = [tensor(["a", "b"], "BYTES", "town"), tensor([1.0, 2.0], "FP64", "x")]
    assert (outputs(infer(app, {"inputs": inputs})) == expected).all()
    texts = b"".join(struct.pack("<I", len(t)) + t for t in (b"a", "ç".encode()))
    head = json.dumps(
        {
            "inputs": [
                {"name": "town", "shape": [2, 1], "datatype": "BYTES",
                 "parameters": {"binary_data_size": len(texts)}},
                tensor([[1.0], [4.0]], "FP64", "x"),
            ]
        }
    ).encode()  # fmt: skip
    reply = ask(app, INFER, head + texts, inference_header_content_length=str(len(head)))
    assert (outputs(reply) == model.predict(table.select("town", "x")[[0, 3]])).all()
    cut = ask(app, INFER, head + texts[:-1], inference_header_content_length=str(len(head)))
    assert fault(cut)
    for nested in ([["a"], ["b"]], ["a", "b"]):
        inputs[0].update(tensor(nested, "BYTES", "town"))
        assert (outputs(infer(app, {"inputs": inputs})) == expected).all()
    inputs[0] = tensor(["a", 'a "\\, quoted" \\'], "BYTES", "town")
    assert 'a "\\\\, quoted"' in fault(infer(app, {"inputs": inputs}))
    inputs[0]["data"] = ["a", "unheard of"]
    told = fault(infer(app, {"inputs": inputs}))
    assert told == (
        "input 'town': the unknown category 'unheard of' in row 1 (known names: 'a', 'b', 'ç'; the "
        "model's metadata list all of them in properties.encoding)"
    )
    inputs[0]["data"] = ["a", "x" * 10_000]
    assert len(fault(infer(app, {"inputs": inputs}))) < 500


# Versions


def test_versions_are_followed_pinned_refused_and_counted(
    orchard_package: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "orchard"
    for version in ("1", "2"):
        shutil.copytree(orchard_package, folder / version)
    app = application(tmp_path)

    def version(path: str = INFER) -> str:
        return str(infer(app, {"inputs": [tensor(ROWS)]}, path).json["model_version"])

    assert version() == "2"
    assert version("/v2/models/orchard/versions/1/infer") == "1"
    shutil.copytree(orchard_package, folder / "3")
    app.repository.refresh()
    assert version() == "3"
    assert run(["pin", str(folder), "1"]) == 0
    app.repository.refresh()
    assert version() == "1"
    (folder / "pinned").write_text("77")
    app.repository.refresh()
    assert version() == "1"
    (folder / "pinned").unlink()
    shutil.copytree(orchard_package, folder / "4")
    (folder / "4" / "golden.json").write_bytes(b"{}")
    app.repository.refresh()
    app.repository.refresh()
    assert version() == "3"
    metrics = ask(app, "/metrics").body.decode()
    assert 'gradline_versions_refused_total{model="orchard"} 1.0' in metrics
    assert 'gradline_model_version{model="orchard"} 3.0' in metrics
    assert fault(ask(app, "/v2/models/orchard/versions/4"), 404)
    shutil.rmtree(folder / "4")
    shutil.copytree(orchard_package, folder / "4")
    app.repository.refresh()
    assert version() == "4"


def test_a_damaged_newest_version_does_not_keep_the_server_from_starting(
    orchard_package: Path, tmp_path: Path
) -> None:
    for number in ("1", "2"):
        shutil.copytree(orchard_package, tmp_path / "orchard" / number)
    (tmp_path / "orchard" / "2" / "model.onnx").write_bytes(b"")
    assert application(tmp_path).repository.models["orchard"].current.version == "1"
    (tmp_path / "orchard" / "1" / "model.onnx").write_bytes(b"")
    with pytest.raises(gradline.PackageError):
        application(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(gradline.InputError, match="no package to serve"):
        application(tmp_path / "empty")
    with pytest.raises(gradline.InputError, match="two models are named"):
        application(orchard_package, orchard_package)


# Who may ask


def test_a_token_is_asked_for_of_all_but_health(orchard_package: Path) -> None:
    app = application(orchard_package, token=b"0123456789abcdef")
    assert ask(app, "/v2/health/live").status == ask(app, "/v2/health/ready").status == 200
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "0123456789abcdef"}):
        reply = ask(app, "/v2", **headers)
        assert fault(reply, 401)
        assert reply.headers["www-authenticate"] == "Bearer"
    assert ask(app, "/v2", authorization="Bearer 0123456789abcdef").status == 200


def test_a_browser_without_the_token_is_given_the_page_that_asks_for_it(
    orchard_package: Path,
) -> None:
    app = application(orchard_package, token=b"0123456789abcdef")
    reply = ask(app, "/", accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert reply.status == 401
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "script-src 'sha256-" in reply.headers["content-security-policy"]
    assert fault(ask(app, "/", accept="*/*"), 401)
    assert fault(ask(app, "/metrics", accept="text/html"), 401)


def test_the_host_header_names_this_server(orchard_package: Path) -> None:
    app = application(orchard_package, hosts=frozenset({"localhost", "[::1]"}))
    for host in ("localhost", "LOCALHOST:8080", "[::1]", "[::1]:8080"):
        assert ask(app, "/v2", host=host).status == 200
    for host in ("evil.example", "localhost.evil.example", "", "localhost:80:80"):
        assert "Host" in fault(ask(app, "/v2", host=host))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["absent"], "no package at absent"),
        (["PACKAGE", "--host", "0.0.0.0"], "--token-file"),  # noqa: S104
        (["PACKAGE", "--port", "99999"], "port"),
        (["PACKAGE", "--workers", "0"], "--workers"),
        (["PACKAGE", "--max-body", "0"], "--max-body"),
        (["PACKAGE", "--certificate", "c.pem"], "--certificate-key"),
        (["PACKAGE", "--public-key", "k.pub"], "k.pub"),
        (["PACKAGE", "--token-file", "t"], "token"),
        ([], "PACKAGE"),
    ],
)
def test_what_can_not_be_served_ends_with_2(
    words: list[str], named: str, orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(orchard_package) if word == "PACKAGE" else word for word in words]
    assert run(["serve", *words]) == 2
    assert named in capsys.readouterr().err


def test_another_asgi_server_reads_the_packages_from_the_environment(
    orchard_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(orchard_package, tmp_path / "b c")
    monkeypatch.setenv("GRADLINE_SERVE", str(tmp_path / "b c"))
    created = app_of_environment()
    assert list(created.repository.models) == ["orchard"]
    assert created.limits == Limits()
    monkeypatch.setenv("GRADLINE_SERVE", os.pathsep.join(["absent", str(orchard_package)]))
    with pytest.raises(gradline.InputError, match="absent"):
        app_of_environment()
    monkeypatch.delenv("GRADLINE_SERVE")
    with pytest.raises(gradline.InputError, match="GRADLINE_SERVE is not set"):
        app_of_environment()
