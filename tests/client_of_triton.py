"""tritonclient against a running server: `python client_of_triton.py PORT`.

Asks in JSON and in binary, in and out, every combination, an empty batch, and with an id.
"""

import itertools
import sys

import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(f"127.0.0.1:{sys.argv[1]}")
assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready("orchard")
assert client.is_model_ready("orchard", "1")
assert client.get_server_metadata()["name"] == "gradline"
assert client.get_model_metadata("orchard")["inputs"][0]["shape"] == [-1, 3]
assert client.get_model_repository_index()[0]["name"] == "orchard"
rows = np.array([[73, 67, 43], [91, 88, 64]], np.float32)
answers = []
for data, sent, received in itertools.product((rows, rows[:0]), (True, False), (True, False)):
    given = triton.InferInput("x", list(data.shape), "FP32")
    given.set_data_from_numpy(data, binary_data=sent)
    wanted = triton.InferRequestedOutput("y", binary_data=received)
    for outputs, told in itertools.product(([wanted], None), ("", "an id")):
        found = client.infer("orchard", [given], outputs=outputs, request_id=told)
        assert found.get_response().get("id", "") == told
        assert found.get_response()["model_version"] == "1"
        values = found.as_numpy("y")
        assert values.shape == (len(data), 2)
        if len(data):
            answers.append(values.tobytes())
    for coding in ("gzip", "deflate"):
        found = client.infer("orchard", [given], request_compression_algorithm=coding)
        assert found.as_numpy("y").shape == (len(data), 2)
assert len(answers) == 16
assert len(set(answers)) == 1
try:
    client.infer("orchard", [triton.InferInput("x", [1, 2], "FP32")])
    told = "nothing"
except triton.InferenceServerException as error:
    told = str(error)
assert "'x'" in told
rows[1, 0] = np.nan
given = triton.InferInput("x", list(rows.shape), "FP32")
given.set_data_from_numpy(rows, binary_data=True)
for binary in (False, True):  # it reads null as NaN
    wanted = triton.InferRequestedOutput("y", binary_data=binary)
    values = client.infer("orchard", [given], outputs=[wanted]).as_numpy("y")
    assert np.isnan(values).tolist() == [[False, False], [True, True]]
given.set_data_from_numpy(rows, binary_data=False)  # it writes NaN into JSON
try:
    client.infer("orchard", [given])
    told = "nothing"
except triton.InferenceServerException as error:
    told = str(error)
assert "is not JSON: send null for a missing value, or binary tensors to infer" in told, told
asked = {"intervals": 0.9, "explain": True, "check": True}
given.set_data_from_numpy(rows, binary_data=True)
found = client.infer("orchard", [given], parameters=asked)
assert found.as_numpy("lower")[0, 0] < found.as_numpy("y")[0, 0] < found.as_numpy("upper")[0, 0]
assert found.as_numpy("contributions").shape == (2, 2, 3)
assert found.as_numpy("outside").tolist() == [b"", b"temperature missing"]
print(np.frombuffer(answers[0], np.float32).tolist())
