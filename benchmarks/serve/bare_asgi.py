"""The same inference with nothing around it, to measure uvicorn alone."""

import os

import msgspec
import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options)


async def app(scope, receive, send):  # type: ignore[no-untyped-def]
    """Answer every request as an inference."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    message = await receive()
    asked = msgspec.json.decode(message["body"])["inputs"][0]
    rows = np.array(asked["data"], np.float32).reshape(asked["shape"])
    found = session.run(["y"], {"x": rows})[0]
    output = {"name": "y", "datatype": "FP32", "shape": found.shape, "data": found.ravel().tolist()}
    body = msgspec.json.encode({"model_name": "orchard", "outputs": [output]})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
