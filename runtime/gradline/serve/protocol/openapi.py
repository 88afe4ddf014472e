"""Build the OpenAPI description of a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from gradline.columns.kinds import Column
from gradline.serve.protocol import messages
from gradline.serve.protocol.bodies import WINDOW_BITS
from gradline.serve.protocol.served_model import INPUT, ServedModel

Models = Mapping[str, tuple[ServedModel, Sequence[str]]]  # each model with its versions
MESSAGES = (
    messages.Error, messages.Live, messages.Ready, messages.ServerMetadata, messages.ModelMetadata,
    messages.IndexEntry, messages.InferenceRequest, messages.InputTensor, messages.RequestedOutput,
    messages.InferenceResponse, messages.PredictRequest, messages.PredictResponse,
    messages.ModelNames, messages.ModelStatus,
)  # fmt: skip
SCHEMA = "#/components/schemas/{name}"
BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
LENGTH = "Inference-Header-Content-Length"
LENGTH_DESCRIPTION = (
    "The length in bytes of the JSON at the start of the body; binary tensors follow it. "
    f"0 if the body is only the rows of the input {INPUT!r}."
)
MAX_EXAMPLE_COLUMNS = 64


def document(models: Models, *, protected: bool = False) -> dict[str, Any]:
    """Build the OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0).

    A protected server requires a token.
    """
    public: dict[str, Any] = {"security": []}  # needs no token
    paths: dict[str, Any] = {
        "/v1/models": _read("The names of the models.", _message("ModelNames")),
        "/v2": _read("Server metadata.", _message("ServerMetadata")),
        "/v2/health/live": _read("Whether the server runs.", _message("Live"), **public),
        "/v2/health/ready": _read("Whether the server is ready.", _message("Ready"), **public),
        "/v2/repository/index": {"post": _index()},
        "/metrics": _read("Metrics for Prometheus.", _text("text/plain")),
        "/openapi.json": _read("This document.", {"application/json": {}}),
        "/": _read("A page for trying the models.", _text("text/html")),
    }
    versions = {number: None for _, numbers in models.values() for number in numbers}
    name = _parameter("model", "path", enum=list(models))
    number = _parameter("version", "path", enum=list(versions))
    for path, parameters in (
        ("/v2/models/{model}", [name]),
        ("/v2/models/{model}/versions/{version}", [name, number]),
    ):
        paths[path] = _read("Model metadata.", _message("ModelMetadata"), parameters=parameters)
        ready = _read("Whether the model is ready.", _message("Ready"), parameters=parameters)
        paths[f"{path}/ready"] = ready
        paths[f"{path}/infer"] = {"post": _infer(parameters, models)}
    for path, parameters in (
        ("/v1/models/{model}", [name]),
        ("/v1/models/{model}/versions/{version}", [name, number]),
    ):
        status = _read("Whether the model answers.", _message("ModelStatus"), parameters=parameters)
        paths[path] = status
        paths[f"{path}:predict"] = {"post": _predict(parameters, models)}
    _, schemas = msgspec.json.schema_components(MESSAGES, ref_template=SCHEMA)
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "gradline serve", "version": version("gradline")},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    if protected:
        found["security"] = [{"token": []}]
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def _parameter(name: str, place: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    required = place == "path"
    return {"name": name, "in": place, "required": required, "schema": {"type": kind, **schema}}


CODING = _parameter(
    "Content-Encoding", "header", enum=["identity", *map(bytes.decode, WINDOW_BITS)]
)


def _reference(name: str) -> dict[str, str]:
    return {"$ref": SCHEMA.format(name=name)}


def _message(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(name)}}


def _text(kind: str) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string"}}}


def _errors(*codes: int) -> dict[str, Any]:
    answer = {"description": "What is wrong.", "content": _message("Error")}
    return {str(code): answer for code in sorted({*codes, 400, 401, 405, 408, 413, 431, 503})}


def _read(summary: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Describe GET and HEAD of a path. Answers to HEAD have no body."""
    responses = {"200": {"description": summary, "content": content}, **_errors(404)}
    bare = {code: {"description": each["description"]} for code, each in responses.items()}
    operation = {"summary": summary, **more}
    return {"get": {**operation, "responses": responses}, "head": {**operation, "responses": bare}}


def _index() -> dict[str, Any]:
    entries = {"schema": {"type": "array", "items": _reference("IndexEntry")}}
    answer = {"description": "One entry per model.", "content": {"application/json": entries}}
    return {"summary": "The served models.", "responses": {"200": answer, **_errors(415)}}


def _infer(parameters: Sequence[dict[str, Any]], models: Models) -> dict[str, Any]:
    length = _parameter(LENGTH, "header", "integer", minimum=0)
    length["description"] = LENGTH_DESCRIPTION
    rows = _message("InferenceRequest")
    rows["application/json"]["examples"] = _examples(
        models, lambda served: {"inputs": _example_inputs(served)}
    )
    answer = {
        "description": "The predictions, in binary if the request asks for it.",
        "headers": {LENGTH: {key: length[key] for key in ("description", "schema")}},
        "content": {**_message("InferenceResponse"), **BINARY},
    }
    return {
        "summary": "Predict rows.",
        "parameters": [*parameters, length, CODING],
        "requestBody": {"required": True, "content": {**rows, **BINARY}},
        "responses": {"200": answer, **_errors(404, 415, 422)},
    }


def _predict(parameters: Sequence[dict[str, Any]], models: Models) -> dict[str, Any]:
    rows = _message("PredictRequest")
    rows["application/json"]["examples"] = _examples(
        models, lambda served: {"instances": [_example_instance(served)]}
    )
    answer = {"description": "The predictions.", "content": _message("PredictResponse")}
    return {
        "summary": "Predict rows by name.",
        "parameters": [*parameters, CODING],
        "requestBody": {"required": True, "content": rows},
        "responses": {"200": answer, **_errors(404, 415, 422)},
    }


def _examples(models: Models, value: Callable[[ServedModel], Any]) -> dict[str, Any]:
    return {
        name: {"summary": f"One row of {name}.", "value": value(served)}
        for name, (served, _) in models.items()
        if len(served.columns) <= MAX_EXAMPLE_COLUMNS
    }


def _example_instance(served: ServedModel) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(served.columns, 0.0)
    for column in served.model.columns:
        if column.kind == "category":
            found[column.name] = column.levels[0]
        if column.kind == "time":
            found[column.name] = "1970-01-01T00:00Z" if column.zone else "1970-01-01"
    return found


def _example_inputs(served: ServedModel) -> list[dict[str, Any]]:
    if not served.model.columns:
        width = len(served.model.features)
        return [_tensor(INPUT, [1, width], served.datatype, [0.0] * width)]
    return [_example_tensor(column, served.datatype) for column in served.model.columns]


def _example_tensor(column: Column, datatype: str) -> dict[str, Any]:
    if column.kind == "category":
        return _tensor(column.name, [1], "BYTES", [column.levels[0]])
    if column.kind == "time":
        return _tensor(column.name, [1], "INT64", [0])
    return _tensor(column.name, [1], datatype, [0.0])


def _tensor(name: str, shape: list[int], datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}
