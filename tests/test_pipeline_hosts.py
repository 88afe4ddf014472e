"""`pipeline.onnx` in engines of every kind, without gradline, from raw columns."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import Page
from gradline.package.graph import Graph
from gradline.package.pipeline_file import pipeline_bytes
from hosts import OLD_ONNXRUNTIME, need, npm, virtual_environment
from random_plans import check, graph_of, random_columns

pytestmark = pytest.mark.slow

CASES = [(seed, columns, dtype, n) for seed, (columns, dtype, n) in enumerate(
    [(1, "float32", 1), (4, "float32", 40), (13, "float32", 40), (13, "float64", 40),
     (8, "float64", 1000), (60, "float32", 7), (300, "float64", 3), (5, "float32", 0)]
)]  # fmt: skip

PYTHON = """
import json, sys
import numpy as np
def feeds(case):
    return {
        name: np.array([("" if text else np.nan) if v is None else v for v in values],
                       object if text else np.float64)[:, None]
        for name, (text, values) in case.items()
    }
for path in sys.argv[2:]:
    rows = feeds(json.load(open(path + ".json")))
    if sys.argv[1] == "onnxruntime":
        import onnxruntime
        session = onnxruntime.InferenceSession(path + ".onnx", providers=["CPUExecutionProvider"])
        (y,) = session.run(None, rows)
    else:
        from onnx.reference import ReferenceEvaluator
        (y,) = ReferenceEvaluator(path + ".onnx").run(None, rows)
    np.save(path + ".npy", y)
"""

SCRIPT = """
async function answers(ort, model, rows, options) {
  const session = await ort.InferenceSession.create(model, options);
  const feeds = {};
  for (const [name, [text, values]] of Object.entries(rows)) {
    const missing = text ? "" : NaN;
    const filled = values.map((value) => value ?? missing);
    feeds[name] = text
      ? new ort.Tensor("string", filled, [values.length, 1])
      : new ort.Tensor("float64", Float64Array.from(filled), [values.length, 1]);
  }
  const found = await session.run(feeds);
  const y = Object.values(found)[0];
  return { data: Array.from(y.data, (v) => (Number.isFinite(v) ? v : String(v))), dims: y.dims };
}
"""

NODE = (
    SCRIPT
    + """
import { readFile, writeFile } from "node:fs/promises";
import * as ort from "onnxruntime-node";
for (const path of process.argv.slice(2)) {
  const rows = JSON.parse(await readFile(`${path}.json`, "utf8"));
  const found = await answers(ort, await readFile(`${path}.onnx`), rows, {});
  await writeFile(`${path}.out`, JSON.stringify(found));
}
"""
)

PAGE = f"""<!doctype html>
<p id="verdict"></p>
<script type="module">
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
ort.env.wasm.numThreads = 1;
{SCRIPT}
window.answer = async (path) => {{
  const rows = await (await fetch(`${{path}}.json`)).json();
  const model = new Uint8Array(await (await fetch(`${{path}}.onnx`)).arrayBuffer());
  return JSON.stringify(await answers(ort, model, rows, {{ executionProviders: ["wasm"] }}));
}};
document.getElementById("verdict").textContent = "ready";
</script>
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Graph, dict[str, Any]]]:
    """Write each case's graph and raw rows; return them by path."""
    folder = tmp_path_factory.mktemp("cases")
    found = {}
    for seed, columns, dtype, n in CASES:
        graph = graph_of(seed, columns, dtype=dtype)
        rows = random_columns(np.random.default_rng(seed), graph.plan, n)
        path = folder / str(seed)
        path.with_suffix(".onnx").write_bytes(pipeline_bytes(graph))
        kinds = {column.name: column.kind == "category" for column in graph.plan.columns}
        written = {name: [kinds[name], values] for name, values in rows.items()}
        path.with_suffix(".json").write_text(json.dumps(written))
        found[str(path)] = graph, rows
    return found


def run(*command: str | Path) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def of_script(data: str) -> np.ndarray[Any, Any]:
    found = json.loads(data)
    return np.array([float(v) for v in found["data"]]).reshape(found["dims"])


@pytest.mark.parametrize("host", ["old onnxruntime", "onnx reference"])
def test_python_hosts(host: str, cases: dict[str, tuple[Graph, dict[str, Any]]]) -> None:
    old = host == "old onnxruntime"
    python = (
        virtual_environment("old", "--no-deps", *OLD_ONNXRUNTIME) / "python"
        if old
        else sys.executable
    )
    run(python, "-c", PYTHON, "onnxruntime" if old else "onnx", *cases)
    for path, (graph, rows) in cases.items():
        check(np.load(path + ".npy"), rows, graph)


def test_node(cases: dict[str, tuple[Graph, dict[str, Any]]]) -> None:
    script = npm("node") / f"pipeline-{os.getpid()}.mjs"
    script.write_text(NODE)
    try:
        run(need("node"), script, *cases)
    finally:
        script.unlink()
    for path, (graph, rows) in cases.items():
        check(of_script(Path(path + ".out").read_text()), rows, graph)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def page(cases: dict[str, object], tmp_path: Path) -> Iterator[tuple[Page, str]]:
    folder = Path(next(iter(cases))).parent
    (folder / "index.html").write_text(PAGE)
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(npm("web") / "node_modules")
    handler = functools.partial(Quiet, directory=str(folder))
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        Page(need("chromium"), tmp_path) as opened,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield opened, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_browser(page: tuple[Page, str], cases: dict[str, tuple[Graph, dict[str, Any]]]) -> None:
    opened, address = page
    opened.open(address)
    opened.wait_for("document.getElementById('verdict')?.textContent")
    for path, (graph, rows) in cases.items():
        found = opened.evaluate(f"window.answer('{Path(path).name}')")
        check(of_script(found), rows, graph)
