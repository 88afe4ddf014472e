"""The OpenAPI description of what is served, true to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from gradline.serve.protocol.bodies import WINDOW
from gradline.serve.protocol.inference import INPUT, Served
from gradline.serve.protocol.tensors import DTYPES

__all__ = ["Models", "document"]

Models = Mapping[str, tuple[Served, Sequence[str]]]  # what is served, and each one's versions
BINARY = "application/octet-stream"
LENGTH = "Inference-Header-Content-Length"
OPEN: dict[str, Any] = {"security": []}  # to whoever asks
SHOWN = 64  # columns that an example may have


def document(models: Models, *, protected: bool = False) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0).

    Args:
        models: By name.
        protected: Whether a token is asked for.
    """
    model = "/v2/models/{model}"
    chosen = f"{model}/versions/{{version}}"
    paths: dict[str, Any] = {
        "/v2": _read("Server metadata.", "ServerMetadata"),
        "/v2/health/live": _read("Whether the server runs.", "Live", **OPEN),
        "/v2/health/ready": _read("Whether its models answer.", "Ready", **OPEN),
        "/v2/repository/index": {"post": _index()},
        "/metrics": _read("Metrics for Prometheus.", kind="text/plain"),
        "/openapi.json": _read("This document.", "Document"),
        "/": _read("A page to try the models on.", kind="text/html"),
    }
    versions = {number: None for _, numbers in models.values() for number in numbers}
    known = {"model": list(models), "version": list(versions)}
    for place, names in ((model, ["model"]), (chosen, ["model", "version"])):
        parameters = [_parameter(name, "path", enum=known[name]) for name in names]
        paths[place] = _read("Model metadata.", "ModelMetadata", parameters)
        paths[f"{place}/ready"] = _read("Whether it answers.", "ModelReady", parameters)
        paths[f"{place}/infer"] = {"post": _infer(parameters, models)}
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "gradline serve", "version": version("gradline")},
        "paths": paths,
        "components": {"schemas": _schemas()},
    }
    if protected:
        found["security"] = [{"token": []}]
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def _parameter(name: str, place: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": {"type": kind, **schema},
    }


def _content(schema: str | None, kind: str = "application/json") -> dict[str, Any]:
    found = {"type": "string"} if schema is None else {"$ref": f"#/components/schemas/{schema}"}
    return {kind: {"schema": found}}


def _errors(*codes: int) -> dict[str, Any]:
    known = {*codes, 400, 401, 405, 408, 413, 431, 503}
    answer = {"description": "What is wrong.", "content": _content("Error")}
    return {str(code): answer for code in sorted(known)}


def _read(
    summary: str,
    schema: str | None = None,
    parameters: Sequence[dict[str, Any]] = (),
    kind: str = "application/json",
    **more: Any,
) -> dict[str, Any]:
    """Return what GET and HEAD do: the same, but that the latter's answers have no body."""
    found = {"200": {"description": summary, "content": _content(schema, kind)}}
    responses = {**found, **_errors(404)}
    bare = {code: {"description": told["description"]} for code, told in responses.items()}
    told = {"summary": summary, "parameters": list(parameters), **more}
    return {"get": {**told, "responses": responses}, "head": {**told, "responses": bare}}


def _index() -> dict[str, Any]:
    return {
        "summary": "The models that are served.",
        "responses": {
            "200": {"description": "One entry for each.", "content": _content("Index")},
            **_errors(415),
        },
    }


def _infer(parameters: Sequence[dict[str, Any]], models: Models) -> dict[str, Any]:
    length = _parameter(LENGTH, "header", "integer", minimum=0)
    length["description"] = (
        "The bytes of JSON that the body begins with; behind it are binary tensors. "
        f"0 where the body is the rows of the input {INPUT!r} and nothing else."
    )
    coding = _parameter("Content-Encoding", "header", enum=["identity", *map(bytes.decode, WINDOW)])
    rows = _content("InferenceRequest")
    if examples := _examples(models):
        rows["application/json"]["examples"] = examples
    binary = {BINARY: {"schema": {"type": "string", "format": "binary"}}}
    answer = {
        "description": "The predictions; binary where that is asked for.",
        "headers": {LENGTH: {"description": length["description"], "schema": length["schema"]}},
        "content": {**_content("InferenceResponse"), **binary},
    }
    return {
        "summary": "Predict rows.",
        "parameters": [*parameters, length, coding],
        "requestBody": {"required": True, "content": {**rows, **binary}},
        "responses": {"200": answer, **_errors(404, 415, 422)},
    }


def _examples(models: Models) -> dict[str, Any]:
    """Return a request of one row for each model that has not too many columns for it."""
    return {
        name: {"summary": f"A row of {name}.", "value": {"inputs": _row(served)}}
        for name, (served, _) in models.items()
        if len(served.columns) <= SHOWN
    }


def _row(served: Served) -> list[dict[str, Any]]:
    width = len(served.model.features)
    kind = served.datatype
    if not served.model.columns:
        return [{"name": INPUT, "shape": [1, width], "datatype": kind, "data": [0.0] * width}]
    values = [
        {"datatype": "BYTES", "data": [column.levels[0]]}
        if column.levels
        else {"datatype": kind, "data": [0.0]}
        for column in served.model.columns
    ]
    return [
        {"name": name, "shape": [1], **value}
        for name, value in zip(served.columns, values, strict=True)
    ]


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _schemas() -> dict[str, Any]:
    text, truth, numbers = {"type": "string"}, {"type": "boolean"}, {"type": "number"}
    texts = {"type": "array", "items": text}
    size = {"type": "integer", "minimum": -1}
    parameters = {"type": "object"}
    shape = {"type": "array", "items": size, "minItems": 1, "maxItems": 2}
    values = {
        "type": "array",
        "items": {"oneOf": [numbers, truth, text, {"type": "array", "items": {}}]},
    }
    datatype = {"type": "string", "enum": [*DTYPES, "BYTES"]}
    described = _object(["name", "datatype", "shape"], name=text, datatype=datatype, shape=shape)
    tensor = _object(
        ["name", "shape", "datatype"],
        name=text,
        shape=shape,
        datatype=datatype,
        parameters=parameters,
        data=values,
    )
    return {
        "Error": _object(["error"], error=text),
        "Live": _object(["live"], live=truth),
        "Ready": _object(["ready"], ready=truth),
        "ModelReady": _object(["name", "ready"], name=text, ready=truth),
        "Document": {"type": "object"},
        "ServerMetadata": _object(
            ["name", "version", "extensions"], name=text, version=text, extensions=texts
        ),
        "ModelMetadata": _object(
            ["name", "versions", "platform", "inputs", "outputs"],
            name=text,
            versions=texts,
            platform=text,
            inputs={"type": "array", "items": described},
            outputs={"type": "array", "items": described},
            properties=parameters,
        ),
        "Index": {
            "type": "array",
            "items": _object(
                ["name", "version", "state", "reason"],
                name=text,
                version=text,
                state=text,
                reason=text,
            ),
        },
        "InferenceRequest": _object(
            ["inputs"],
            id=text,
            parameters=parameters,
            inputs={"type": "array", "items": tensor},
            outputs={"type": "array", "items": _object(["name"], name=text, parameters=parameters)},
        ),
        "InferenceResponse": _object(
            ["model_name", "model_version", "outputs"],
            model_name=text,
            model_version=text,
            id=text,
            outputs={"type": "array", "items": tensor},
        ),
    }
