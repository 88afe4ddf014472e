"""The protocol's messages as types: requests are decoded into them, OpenAPI is made from them.

https://github.com/kserve/open-inference-protocol
"""

# ruff: noqa: UP013 - the smallest messages fit on a line each

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import numpy as np
from msgspec import Meta, Raw, Struct

DTYPE_OF = {
    "BOOL": np.dtype("?"),
    **{f"{sign}INT{bits}": np.dtype(f"<{sign.lower() or 'i'}{bits // 8}")
       for sign in ("U", "") for bits in (8, 16, 32, 64)},
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}  # fmt: skip
ELEMENTS = {"oneOf": [{"type": kind} for kind in ("number", "boolean", "string", "array")]}

# These constraints are in the schema only. `tensors` checks them with errors that name the tensor.
Shape = Annotated[list[int], Meta(extra_json_schema={"minItems": 1, "maxItems": 2})]
Datatype = Annotated[str, Meta(extra_json_schema={"enum": [*DTYPE_OF]})]

# Raw JSON is decoded later, because it may be long.
RawInput = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/InputTensor"})]
RawData = Annotated[Raw, Meta(extra_json_schema={"type": "array", "items": ELEMENTS})]
REQUESTED = {"$ref": "#/components/schemas/RequestedOutput"}
RawOutputs = Annotated[Raw, Meta(extra_json_schema={"type": ["array", "null"], "items": REQUESTED})]


class TensorParameters(Struct, frozen=True):
    """The parameters of an input."""

    binary_data_size: int | None = None
    feature_names: list[str] | None = None


class InputTensor(Struct):
    """An input. Its values are `data`, or binary data behind the JSON."""

    name: str
    shape: Shape
    datatype: Datatype
    parameters: TensorParameters = TensorParameters()
    data: RawData = msgspec.field(default_factory=Raw)


class OutputParameters(Struct, frozen=True):
    """The parameters of a requested output."""

    binary_data: bool | msgspec.UnsetType = msgspec.UNSET


class RequestedOutput(Struct):
    """An output that a request asks for."""

    name: str
    parameters: OutputParameters = OutputParameters()


class RequestParameters(Struct, frozen=True):
    """The parameters of a request."""

    binary_data_output: bool = False
    feature_names: list[str] | None = None


class InferenceRequest(Struct):
    """Rows to predict."""

    inputs: list[RawInput]
    id: str | None = None
    outputs: RawOutputs = msgspec.field(default_factory=lambda: Raw(b"null"))
    parameters: RequestParameters = RequestParameters()


class OutputTensor(TypedDict):
    """Predictions. Their values are `data`, or binary data behind the JSON."""

    name: str
    datatype: Datatype
    shape: Shape
    data: NotRequired[list[float]]
    parameters: NotRequired[dict[str, Any]]


class InferenceResponse(TypedDict):
    """The answer to an inference request."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


class TensorMetadata(TypedDict):
    """An input or output of a model. -1 in its shape stands for any number of rows."""

    name: str
    datatype: Datatype
    shape: Shape


class ModelMetadata(TypedDict):
    """A model's inputs, outputs and properties."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    properties: dict[str, str]


ServerMetadata = TypedDict("ServerMetadata", {"name": str, "version": str, "extensions": list[str]})
IndexEntry = TypedDict("IndexEntry", {"name": str, "version": str, "state": str, "reason": str})
Ready = TypedDict("Ready", {"name": NotRequired[str], "ready": bool})  # a server or a model
Live = TypedDict("Live", {"live": bool})
Error = TypedDict("Error", {"error": str})
