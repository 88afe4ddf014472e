"""Several workers and the process above them, of which one is told to end: loopback only."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from serving import Server, ask_on, ask_until, close, infer_request, ready_workers, serving

pytestmark = pytest.mark.slow

ASK = infer_request([[73.0, 67.0, 43.0]])


async def connect_and_ask(server: Server) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        return (await ask_on(reader, writer, ASK)).status
    finally:
        await close(writer)


@pytest.mark.parametrize(
    ("number", "of", "stay", "left"),
    [
        (signal.SIGTERM, "a worker", 1, 2),
        (signal.SIGINT, "a worker", 1, 2),
        (signal.SIGHUP, "the supervisor", 0, 2),
        (signal.SIGTTOU, "the supervisor", 1, 1),
        (signal.SIGTTIN, "the supervisor", 2, 3),
    ],
)
def test_a_signal_leaves_a_server_that_answers_and_loses_nothing(
    number: signal.Signals, of: str, stay: int, left: int, orchard_package: Path
) -> None:
    seen: Counter[object] = Counter()

    async def run(server: Server, before: set[int]) -> None:
        end = asyncio.Event()
        clients = [
            asyncio.create_task(ask_until(end, server.port, ASK, seen, lambda a: a.status))
            for _ in range(4)
        ]
        await asyncio.sleep(0.3)
        os.kill(max(before) if of == "a worker" else server.process.pid, number)
        await asyncio.sleep(3)
        end.set()
        await asyncio.gather(*clients)
        end_of_wait = time.monotonic() + 30
        while len(before & await asyncio.to_thread(ready_workers, server, left)) != stay:
            assert time.monotonic() < end_of_wait
            await asyncio.sleep(0.1)
        for _ in range(20):
            assert await connect_and_ask(server) == 200

    with serving(orchard_package, "--workers", "2") as server:
        before = ready_workers(server, 2)
        asyncio.run(asyncio.wait_for(run(server, before), 60))
        server.process.terminate()
        _, log = server.process.communicate(timeout=20)
    assert log.startswith(f"worker {max(before)} ended") if of == "a worker" else log == ""
    assert len(log.splitlines()) <= 1
    assert set(seen) == {200}


def test_workers_end_when_the_process_above_them_is_killed(orchard_package: Path) -> None:
    with serving(orchard_package, "--workers", "2") as server:
        before = ready_workers(server, 2)
        with socket.create_connection(("127.0.0.1", server.port)):  # idle
            server.process.kill()
            end = time.monotonic() + 5
            while left := [pid for pid in before if Path(f"/proc/{pid}").exists()]:
                if time.monotonic() > end:
                    for pid in left:
                        os.kill(pid, signal.SIGKILL)
                    pytest.fail("workers are left")
                time.sleep(0.05)
        with socket.socket() as next_server:
            next_server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            next_server.bind(("127.0.0.1", server.port))
            next_server.listen()
        assert server.process.stderr is not None
        assert server.process.stderr.read() == "the supervisor has died: this worker ends\n" * 2
