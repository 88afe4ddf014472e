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
KINDS = ("number", "boolean", "string", "array", "null")
ELEMENTS = {"oneOf": [{"type": kind} for kind in KINDS]}

# These constraints are in the schema only. `tensors` checks them with errors that name the tensor.
Shape = Annotated[list[int], Meta(extra_json_schema={"minItems": 1, "maxItems": 2})]
OutputShape = Annotated[list[int], Meta(extra_json_schema={"minItems": 1, "maxItems": 3})]
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


class Asked(Struct, frozen=True):
    """What a request asks for beside the predictions.

    Attributes:
        intervals: The level of prediction intervals.
        explain: Whether to split each prediction into the parts of the columns.
        check: Whether to describe what is outside the training ranges in each row.
    """

    intervals: Annotated[float, Meta(gt=0, lt=1)] | None = None
    explain: bool = False
    check: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether only predictions are asked for."""
        return self.intervals is None and not self.explain and not self.check


class RequestParameters(Asked, frozen=True):
    """The parameters of an inference request; unknown ones, which clients add, are ignored."""

    binary_data_output: bool = False
    feature_names: list[str] | None = None


class InferenceRequest(Struct):
    """Rows to predict."""

    inputs: list[RawInput]
    id: str | None = None
    outputs: RawOutputs = msgspec.field(default_factory=lambda: Raw(b"null"))
    parameters: RequestParameters = RequestParameters()


class OutputTensor(TypedDict):
    """Predictions or another output. The values are in `data`, or binary behind the JSON.

    null is a missing value.
    """

    name: str
    datatype: Datatype
    shape: OutputShape
    data: NotRequired[list[float | str | None]]
    parameters: NotRequired[dict[str, Any]]


class InferenceResponse(TypedDict):
    """The answer to an inference request."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


# Raw JSON is decoded row by row.
Scalar = str | int | float | bool | None
RawInstance = Annotated[
    Raw,
    Meta(
        extra_json_schema={
            "oneOf": [
                {
                    "type": "object",
                    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                },
                {"type": "array", "items": {"type": ["number", "null"]}},
            ]
        }
    ),
]


class PredictParameters(Asked, frozen=True, forbid_unknown_fields=True):
    """The parameters of a request with rows by name."""


class PredictRequest(Struct, forbid_unknown_fields=True):
    """Rows to predict: a value for each column by name, or numbers in the columns' order."""

    instances: Annotated[list[RawInstance], Meta(extra_json_schema={"minItems": 1})]
    parameters: PredictParameters = PredictParameters()


class PredictResponse(TypedDict):
    """The answer to a request with rows by name: each list has an entry for each row.

    Predictions and explanations have the targets' names as keys. null is a missing answer.
    """

    predictions: list[dict[str, float | None]]
    explanations: NotRequired[list[dict[str, dict[str, float | None]]]]
    outside: NotRequired[list[str]]


class ModelNames(TypedDict):
    """The names of the served models."""

    models: list[str]


class VersionStatus(TypedDict):
    """A version that answers."""

    version: str
    state: str
    status: dict[str, str]


class ModelStatus(TypedDict):
    """Whether a model answers, in the members of KServe and of TensorFlow Serving."""

    name: str
    ready: bool
    model_version_status: list[VersionStatus]


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
