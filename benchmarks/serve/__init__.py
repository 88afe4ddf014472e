"""One row of JSON over HTTP: `gradline serve` against other servers of the same ONNX model.

Each peer runs from its own virtual environment, made here. wrk (Debian's) asks over 1 and 32
keep-alive connections. All servers are up at once and take turns, so a busy spell of the machine
affects each. A server's rate counts only after its answer's numbers are checked.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.comparison import Comparison, compare
from benchmarks.measure import Samples

__all__ = ["run"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = ROOT / "artifacts" / "orchard" / "1"
ENVIRONMENTS = ROOT / ".cache" / "benchmarks"
ROW, EXPECTED = [73.0, 67.0, 43.0], [56.890838623046875, 69.93756103515625]
INFER = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": ROW}]}
PLAIN = {"rows": [ROW]}
TURNS, SECONDS = 5, 4
ASKED = re.compile(r"Requests/sec:\s+([\d.]+)")
SLOWEST = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
OURS = "gradline serve"


@dataclass(frozen=True, eq=False)
class Peer:
    """A server.

    Attributes:
        name: As in the table.
        requirements: For its virtual environment; none for ours.
        command: Starts it; {python}, {port}, {package} and {here} are filled in.
        path: Path of the request.
        body: Body of the request; None for a GET of a fixed page, the upper limit of speed.
        goal: For our rate / its rate, at 32 connections.
    """

    name: str
    requirements: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    body: object | None
    goal: float | None


UVICORN = ("{python}", "-m", "uvicorn", "--port", "{port}", "--log-level", "critical",
           "--no-access-log", "--app-dir", "{here}")  # fmt: skip
LIGHT = ("onnxruntime==1.32.0", "numpy==2.4.6")
PEERS = (
    Peer(
        "bare uvicorn, the same inference",
        ("uvicorn[standard]==0.54.0", "msgspec==0.22.0", *LIGHT),
        (*UVICORN, "bare_asgi:app"),
        "/infer",
        INFER,
        0.9,
    ),
    Peer(
        "FastAPI, written by hand",
        ("uvicorn[standard]==0.54.0", "fastapi", *LIGHT),
        (*UVICORN, "by_fastapi:app"),
        "/infer",
        PLAIN,
        8.0,
    ),
    Peer(
        "MLServer, ONNX Runtime in its process",
        ("mlserver==1.7.1", *LIGHT),
        ("{python}", "{here}/by_mlserver.py", "{port}"),
        "/v2/models/orchard/infer",
        INFER,
        10.0,
    ),
    Peer("nginx, a fixed page", (), ("{nginx}",), "/", None, None),
)


def run(quick: bool) -> list[Comparison]:
    """Compare our rate with each peer's, at 1 and at 32 connections, and show our p99."""
    turns, seconds = (1, 1) if quick else (TURNS, SECONDS)
    lines: list[Comparison] = []
    with ExitStack() as stack:
        ours = [_gradline(), "serve", str(PACKAGE), "--port", "{port}"]
        us = Peer(OURS, (), tuple(ours), "/v2/models/orchard/infer", INFER, None)
        servers = {peer: stack.enter_context(_running(peer)) for peer in (us, *PEERS)}
        for connections in (1, 32):
            seconds_each, slowest = _ask_all(servers, connections, turns, seconds)
            what = f"{OURS}, one row, {connections} connection{'s' * (connections > 1)}"
            seconds_each[what] = seconds_each.pop(OURS)
            for peer in PEERS:
                limit = 1 / peer.goal if peer.goal and connections == 32 else None
                lines.append(compare(seconds_each, what, peer.name, limit))
            print(
                f"  {what}: {1 / sorted(seconds_each[what])[turns // 2]:,.0f} requests/s, "
                f"p99 {sorted(slowest)[turns // 2] * 1e3:.2f} ms",
                file=sys.stderr,
            )
    return lines


def _ask_all(
    servers: dict[Peer, int], connections: int, turns: int, seconds: int
) -> tuple[Samples, list[float]]:
    """Measure the seconds per request (1 / rate), by server and turn, and our p99."""
    samples: Samples = {peer.name: [] for peer in servers}
    slowest = []
    for _ in range(turns):
        for peer, port in servers.items():
            rate, late = _ask(peer, port, connections, seconds)
            samples[peer.name].append(1 / rate)
            if peer.name == OURS:
                slowest.append(late)
    return samples, slowest


def _ask(peer: Peer, port: int, connections: int, seconds: int) -> tuple[float, float]:
    """Measure a server's requests per second and its 99th percentile."""
    script = 'wrk.headers["Content-Type"] = "application/json"\n'
    if peer.body is not None:
        script += f"wrk.method = 'POST'\nwrk.body = [==[{json.dumps(peer.body)}]==]\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        url = f"http://127.0.0.1:{port}{peer.path}"
        words = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", file.name]
        said = subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, f"{peer.name}: {said}"
    assert "Socket errors" not in said, f"{peer.name}: {said}"
    rate, late = ASKED.search(said), SLOWEST.search(said)
    assert rate, said
    assert late, said
    return float(rate[1]), float(late[1]) * UNIT[late[2]]


@contextmanager
def _running(peer: Peer) -> Iterator[int]:
    """Start a server, and yield its port once its answer is right."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        python = _environment(peer) if peer.requirements else sys.executable
        known = {"python": python, "port": str(port), "here": str(HERE)}
        words = [word.format(nginx="", **known) for word in peer.command]
        if peer.command == ("{nginx}",):
            words = _nginx(Path(folder), port)
        environment = {**os.environ, "MODEL": str(PACKAGE / "model.onnx")}
        started = subprocess.Popen(
            words, cwd=folder, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            _wait(peer, port, started)
            yield port
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(20)


def _wait(peer: Peer, port: int, started: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert started.poll() is None, f"{peer.name} ended with {started.returncode}"
        try:
            _check(peer, port)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{peer.name} does not answer")


def _check(peer: Peer, port: int) -> None:
    """Ask one row, and compare the answer with the model's own."""
    body = None if peer.body is None else json.dumps(peer.body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{peer.path}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        found = answer.read()
    if peer.body is not None:
        document = json.loads(found)
        data = document["outputs"][0]["data"] if "outputs" in document else document["rows"][0]
        flat = data[0] if isinstance(data[0], list) else data
        assert all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(flat, EXPECTED, strict=True))


def _environment(peer: Peer) -> str:
    """Find the Python of a peer's virtual environment; make the environment if necessary."""
    name = re.sub(r"\W+", "-", peer.name.lower())
    python = ENVIRONMENTS / name / "bin" / "python"
    done = ENVIRONMENTS / name / "installed"
    if not done.exists():
        venv.create(ENVIRONMENTS / name, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *peer.requirements], check=True)
        done.touch()
    return str(python)


def _nginx(folder: Path, port: int) -> list[str]:
    """Make the command of an nginx that answers every request with one line."""
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/errors; worker_processes 1;"
        "events { worker_connections 1024; }"
        f"http {{ access_log off; keepalive_requests 100000000;"
        f" client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;"
        f" fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;"
        f" server {{ listen 127.0.0.1:{port};"
        ' location / { return 200 "{}"; } } }'
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "apt-get install nginx-light wrk"
    return [program, "-c", str(folder / "nginx.conf"), "-p", str(folder)]


def _gradline() -> str:
    return str(Path(sysconfig.get_path("scripts")) / "gradline")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
