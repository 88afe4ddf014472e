"""KServe's client against a running server: `python client_of_kserve.py PORT`."""

import asyncio
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

ROWS = np.array([[73, 67, 43], [91, 88, 64]], np.float32)


async def main() -> None:
    """Ask in JSON and in binary."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    base = f"http://127.0.0.1:{sys.argv[1]}"
    assert await client.is_server_live(base)
    assert await client.is_server_ready(base)
    assert await client.is_model_ready(base, "orchard")
    for binary in (False, True):
        given = InferInput("x", list(ROWS.shape), "FP32")
        given.set_data_from_numpy(ROWS, binary_data=binary)
        request = InferRequest("orchard", [given], request_id="7")
        found = await client.infer(base, request, model_name="orchard")
        assert (found.id, found.model_name) == ("7", "orchard")
        print(found.outputs[0].as_numpy().ravel().tolist())


asyncio.run(main())
