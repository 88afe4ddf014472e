"""The OpenAPI description of what is served, true to it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from gradline.serve.tensors import DTYPES

__all__ = ["document"]


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0)."""
    model = "/v2/models/{model}"
    chosen = f"{model}/versions/{{version}}"
    paths: dict[str, Any] = {
        "/v2": {"get": _get("Server metadata.", "ServerMetadata")},
        "/v2/health/live": {"get": _get("Whether the server runs.", "Live")},
        "/v2/health/ready": {"get": _get("Whether its models answer.", "Ready")},
        "/v2/repository/index": {"post": _index()},
        "/metrics": {"get": _get("Metrics for Prometheus.", kind="text/plain")},
        "/openapi.json": {"get": _get("This document.", "Document")},
        "/": {"get": _get("A page to try the models on.", kind="text/html")},
    }
    for place, names in ((model, ["model"]), (chosen, ["model", "version"])):
        parameters = [_parameter(name) for name in names]
        paths[place] = {"get": _get("Model metadata.", "ModelMetadata", parameters)}
        paths[f"{place}/ready"] = {"get": _get("Whether it answers.", "ModelReady", parameters)}
        paths[f"{place}/infer"] = {"post": _infer(parameters)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "gradline serve", "version": version("gradline")},
        "paths": paths,
        "components": {"schemas": _schemas()},
    }


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _content(schema: str | None, kind: str = "application/json") -> dict[str, Any]:
    found = {"type": "string"} if schema is None else {"$ref": f"#/components/schemas/{schema}"}
    return {kind: {"schema": found}}


def _errors(*codes: int) -> dict[str, Any]:
    known = {*codes, 400, 401, 405, 408, 413, 431, 503}
    answer = {"description": "What is wrong.", "content": _content("Error")}
    return {str(code): answer for code in sorted(known)}


def _get(
    summary: str,
    schema: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
    kind: str = "application/json",
) -> dict[str, Any]:
    found = {"200": {"description": summary, "content": _content(schema, kind)}}
    return {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {**found, **_errors(404)},
    }


def _index() -> dict[str, Any]:
    return {
        "summary": "The models that are served.",
        "responses": {
            "200": {"description": "One entry for each.", "content": _content("Index")},
            **_errors(415),
        },
    }


def _infer(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "summary": "Predict rows.",
        "parameters": parameters,
        "requestBody": {"required": True, "content": _content("InferenceRequest")},
        "responses": {
            "200": {
                "description": "The predictions.",
                "content": {
                    **_content("InferenceResponse"),
                    **_content(None, "application/octet-stream"),
                },
            },
            **_errors(404, 415, 422),
        },
    }


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
