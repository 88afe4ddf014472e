"""The server that most people write: FastAPI around an ONNX Runtime session."""

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel

session = ort.InferenceSession(os.environ["MODEL"])
app = FastAPI()


class Rows(BaseModel):
    """The body of a request and of an answer."""

    rows: list[list[float]]


@app.post("/infer")
async def infer(asked: Rows) -> Rows:
    """Return the predictions."""
    found = session.run(["y"], {"x": np.array(asked.rows, np.float32)})[0]
    return Rows(rows=found.tolist())
