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
    await ask_with_a_missing_value(client, base)
    await ask_by_name(base)


async def ask_with_a_missing_value(client: InferenceRESTClient, base: str) -> None:
    """Send NaN, which this client writes as null in JSON, and read null as NaN."""
    rows = ROWS.copy()
    rows[1, 0] = np.nan
    for binary in (False, True):
        given = InferInput("x", list(rows.shape), "FP32")
        given.set_data_from_numpy(rows, binary_data=binary)
        request = InferRequest("orchard", [given])
        found = (await client.infer(base, request, model_name="orchard")).outputs[0].as_numpy()
        assert np.isnan(found).tolist() == [[False, False], [True, True]]


async def ask_by_name(base: str) -> None:
    """Ask in the first version of the protocol."""
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    assert await client.is_model_ready(base, "orchard")
    names = ("temperature", "rainfall", "humidity")
    rows = [dict(zip(names, row, strict=True)) for row in ROWS.tolist()]
    found = await client.infer(base, {"instances": rows}, model_name="orchard")
    print([value for row in found["predictions"] for value in row.values()])


asyncio.run(main())
