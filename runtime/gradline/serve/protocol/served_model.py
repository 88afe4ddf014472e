"""A loaded model with what its answers need, computed once."""

from __future__ import annotations

import msgspec

from gradline.model import Model

INPUT, OUTPUT = "x", "y"
DATATYPES = {"float32": "FP32", "float64": "FP64"}


class ServedModel:
    """A loaded model and the start of each of its answers."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.version = str(model.version or 1)
        self.datatype = DATATYPES[str(model.dtype)]
        # A model whose only feature is named x takes a column of that name, not a matrix.
        self.width = len(model.features) if model.features != [INPUT] else -1
        name, version = (msgspec.json.encode(text) for text in (model.name, self.version))
        self.start = b'{"model_name":' + name + b',"model_version":' + version
        self.columns = [column.name for column in model.columns] or model.features
        # In format 2, numbers and times can be text, too.
        texts = model.columns
        if model.plan.format == 1:
            texts = [column for column in model.columns if column.kind == "category"]
        self.texts = {column.name for column in texts}
        self.times = {column.name for column in model.columns if column.kind == "time"}
