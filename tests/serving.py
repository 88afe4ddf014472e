"""A real server, and clients that look at every byte of its answers."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "IMPATIENT", "Answer", "Server", "ask_on", "ask_until", "close", "exchange", "infer_request",
    "probe_until", "ready_workers", "serving", "workers",
]  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A server's process, port, and the address that it told."""

    process: subprocess.Popen[str]
    port: int
    address: str

    def peak(self) -> int:
        """Return the most memory that it held, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]


@dataclass(frozen=True)
class Answer:
    """An answer, whole."""

    status: int
    head: bytes
    body: bytes

    @property
    def closes(self) -> bool:
        return b"connection: close" in self.head.lower()


#: The command with shorter patience, so that tests of it are short.
IMPATIENT = """
import sys
from gradline.commands.group import run
from gradline.serve.connections import Connection
Connection.head_seconds, Connection.body_seconds = 1.0, 2.0
sys.exit(run(sys.argv[1:]))
"""


@contextmanager
def serving(*words: object, program: tuple[str, ...] = ("-m", "gradline")) -> Iterator[Server]:
    """Run `gradline serve` on a free port, and end it as a supervisor does."""
    command = [sys.executable, *program, "serve", *map(str, words), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = process.stderr.readline().strip()
        assert address.startswith("http"), address + process.stderr.read()
        try:
            yield Server(process, int(address.rsplit(":", 1)[1]), address)
        finally:
            process.terminate()
            process.communicate(timeout=20)


def workers(server: Server) -> set[int]:
    """Return the workers' processes."""
    task = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
    found = set()
    for pid in map(int, Path(task).read_text().split()):
        with suppress(OSError):
            if b"--multiprocessing-fork" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


def ready_workers(server: Server, number: int) -> set[int]:
    """Wait until that many processes serve and each handles SIGTERM; return them."""
    end = time.monotonic() + 30
    while True:
        found = workers(server) if number > 1 else workers(server) or {server.process.pid}
        if len(found) == number and all(map(_handles_sigterm, found)):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.05)


def _handles_sigterm(pid: int) -> bool:
    with suppress(OSError):
        caught = re.search(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
        return bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)  # type: ignore[index]
    return False


def infer_request(rows: list[list[float]], *headers: str, model: str = "orchard") -> bytes:
    """Return the bytes of a request."""
    shape = [len(rows), len(rows[0])]
    tensor = {"name": "x", "shape": shape, "datatype": "FP64", "data": rows}
    body = json.dumps({"inputs": [tensor]}).encode()
    lines = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: localhost", *headers]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and wait until it is."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"\ncontent-length: (\d+)", head)[1])  # type: ignore[index]
    return Answer(int(head[9:12]), head, await reader.readexactly(length))


async def ask_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> Answer:
    """Ask on an open connection."""
    writer.write(request)
    await writer.drain()
    return await read_answer(reader)


async def ask_until(
    end: asyncio.Event, port: int, request: bytes, seen: Counter[Any], key: Any
) -> None:
    """Ask again and again on kept-open connections; what has no whole answer counts as lost."""
    while not end.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # it no longer listens: nothing was asked
            return
        try:
            closes = False
            while not end.is_set() and not closes:
                answer = await ask_on(reader, writer, request)
                seen[key(answer)] += 1
                closes = answer.closes
        except (OSError, asyncio.IncompleteReadError):
            seen["lost"] += 1
            return
        finally:
            await close(writer)


async def probe_until(end: asyncio.Event, port: int, request: bytes) -> float:
    """Ask again and again on one connection; return the 99th percentile of the seconds it took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    while not end.is_set():
        started = time.perf_counter()
        assert (await ask_on(reader, writer, request)).status == 200
        times.append(time.perf_counter() - started)
        await asyncio.sleep(0.02)
    await close(writer)
    late = sorted(times)[len(times) * 99 // 100]
    print(f"{len(times)} probes, p99 {late * 1e3:.1f} ms")
    return late


async def exchange(port: int, data: bytes, seconds: float = 5.0) -> tuple[bytes, bool]:
    """Send bytes, and return what comes back, and whether the server closed after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        writer.write(data)
        while True:
            part = await asyncio.wait_for(reader.read(1 << 16), seconds)
            if not part:
                return received, True
            received += part
    except TimeoutError:
        return received, False
    except ConnectionError:
        return received, True
    finally:
        await close(writer)
