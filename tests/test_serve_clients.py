"""Clients that nobody here wrote, each in an environment of its own."""

from __future__ import annotations

import json
import re
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

import gradline
from hosts import call, installed, need
from serving import Server, serving

pytestmark = pytest.mark.slow

TRITON = "tritonclient[http]==2.73.0"
KSERVE = "kserve==0.17.0"
SCHEMATHESIS = "schemathesis==4.32.5"


def environment(name: str, *pins: str) -> Path:
    """Return the folder of a virtual environment's programs, with these packages."""

    def install(folder: Path) -> None:
        venv.create(folder / "venv", with_pip=True)
        call(str(folder / "venv" / "bin" / "pip"), "install", "--quiet", *pins)

    return installed(name, "\n".join(pins), install) / "venv" / "bin"


@pytest.fixture(scope="module")
def server(orchard_package: Path) -> Iterator[Server]:
    with serving(orchard_package) as server:
        yield server


@pytest.mark.parametrize(("name", "pin"), [("triton", TRITON), ("kserve", KSERVE)])
def test_others_clients_in_json_and_binary(
    name: str, pin: str, server: Server, orchard_package: Path
) -> None:
    python = environment(f"client-of-{name}", pin) / "python"
    script = Path(__file__).with_name(f"client_of_{name}.py")
    done = subprocess.run(
        [python, script, str(server.port)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = gradline.load(orchard_package).predict([[73, 67, 43], [91, 88, 64]])
    for line in done.stdout.splitlines():
        assert json.loads(line) == expected.astype(float).ravel().tolist()
    assert done.stdout


def predictions(server: Server) -> float:
    """Return how many rows the server has predicted."""
    with urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        rows = re.search(r'gradline_rows_total{.*model="orchard".*} (.*)', answer.read().decode())
    return float(rows[1]) if rows else 0.0


def test_every_answer_is_what_the_openapi_document_says(server: Server) -> None:
    before = predictions(server)
    program = environment("schemathesis", SCHEMATHESIS) / "st"
    address = f"http://127.0.0.1:{server.port}/openapi.json"
    checks = "not_a_server_error,status_code_conformance,content_type_conformance"
    checks += ",response_schema_conformance"
    words = [str(program), "run", address, "--checks", checks, "--max-examples", "50"]
    done = subprocess.run([*words, "--seed", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert predictions(server) > before


def test_curl(server: Server) -> None:
    body = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [73, 67, 43]}]}
    url = f"http://127.0.0.1:{server.port}/v2/models/orchard/infer"
    done = subprocess.run(
        [need("curl"), "--silent", "--fail", "--compressed", url, "-d", json.dumps(body)],
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["outputs"][0]["shape"] == [1, 2]


ROWS = [{"temperature": 73, "rainfall": 67, "humidity": 43}]


def test_rows_by_name_from_curl_and_node(server: Server, orchard_package: Path) -> None:
    url = f"http://127.0.0.1:{server.port}/v1/models/orchard:predict"
    body = json.dumps({"instances": ROWS, "parameters": {"intervals": 0.9}})
    fetch = (
        "const answer = await fetch(process.argv[1], {method: 'POST', body: process.argv[2]});"
        "console.log(JSON.stringify(await answer.json()))"
    )
    expected = gradline.load(orchard_package).predict(ROWS)[0].astype(float).tolist()
    for command in (
        [need("curl"), "--silent", "--fail", url, "-d", body],
        [need("node"), "--input-type=module", "-e", fetch, url, body],
    ):
        done = subprocess.run(command, capture_output=True, check=True)
        (found,) = json.loads(done.stdout)["predictions"]
        assert [found["apples"], found["oranges"]] == expected
        assert found["apples_lower"] < found["apples"] < found["apples_upper"]
