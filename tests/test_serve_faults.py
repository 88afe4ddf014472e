"""The server under load, faults and whoever means it ill: loopback only, bounded."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import re
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradline_export import export_package
from gradline_trainer import fit
from hosts import need
from serving import (
    Answer,
    Server,
    ask_on,
    ask_until,
    close,
    exchange,
    infer_request,
    probe_until,
    ready_workers,
    serving,
    workers,
)

pytestmark = pytest.mark.slow

ROW = [73.0, 67.0, 43.0]
ASK = infer_request([ROW])
HEAD, BODY = ASK.split(b"\r\n\r\n")[0] + b"\r\n\r\n", ASK.split(b"\r\n\r\n")[1]
START = b"POST /v2/models/orchard/infer HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)


@pytest.fixture(scope="module")
def server(orchard_package: Path) -> Iterator[Server]:
    with serving(orchard_package) as server:
        yield server


def answers_still(server: Server) -> None:
    """Check that the next request is answered."""
    data, _ = asyncio.run(exchange(server.port, HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close"
                                                             b"\r\n\r\n") + BODY))  # fmt: skip
    assert data.startswith(b"HTTP/1.1 200"), data


@pytest.mark.parametrize(("workers", "rounds"), [(1, 20), (2, 5)])
def test_the_end_under_load_loses_no_request(
    workers: int, rounds: int, orchard_package: Path
) -> None:
    """SIGTERM under 32 kept-open clients."""
    seen: Counter[object] = Counter()

    async def once() -> None:
        end = asyncio.Event()
        with serving(orchard_package, "--workers", workers) as server:
            ready_workers(server, workers)
            clients = [
                asyncio.create_task(ask_until(end, server.port, ASK, seen, lambda a: a.status))
                for _ in range(32)
            ]
            await asyncio.sleep(random.uniform(0.2, 0.5))
            server.process.terminate()
            assert await asyncio.to_thread(server.process.wait, 15) == 0
            end.set()
            await asyncio.gather(*clients)

    for _ in range(rounds):
        asyncio.run(once())
    print(dict(seen))
    assert set(seen) == {200}
    assert seen[200] > 2000


def test_versions_change_under_load_without_a_lost_or_mixed_answer(tmp_path: Path) -> None:
    """20 versions, each of which answers its own number."""

    def publish(version: int) -> None:
        table = {"a": [0.0, 1, 2], "y": [version - 1.0, version, version + 1.0]}
        export_package(fit(table, "y", dtype="float64"), tmp_path, "orchard", report=False)

    def told(answer: Answer) -> str:
        found = json.loads(answer.body)
        value = found["outputs"][0]["data"][0]
        return "right" if abs(value - float(found["model_version"])) < 1e-9 else "mixed"

    publish(1)
    seen: Counter[object] = Counter()

    async def run() -> str:
        end = asyncio.Event()
        with serving(tmp_path) as server:
            ask = infer_request([[1.0]])
            clients = [
                asyncio.create_task(ask_until(end, server.port, ask, seen, told)) for _ in range(8)
            ]
            for version in range(2, 22):
                await asyncio.to_thread(publish, version)
                await asyncio.sleep(1.1)
            await asyncio.sleep(1.5)
            end.set()
            await asyncio.gather(*clients)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            last = await ask_on(reader, writer, ask)
            await close(writer)
            return str(json.loads(last.body)["model_version"])

    assert asyncio.run(run()) == "21"
    print(dict(seen))
    assert set(seen) == {"right"}


@pytest.mark.alone
def test_slow_clients_are_closed_and_others_hardly_notice(server: Server) -> None:
    """100 that send heads byte by byte and 100 bodies, with a live probe beside them."""

    async def drip(whole: bytes, first: int) -> tuple[float, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        started = time.monotonic()
        writer.write(whole[:first])
        for byte in whole[first:]:
            writer.write(bytes([byte]))
            try:
                data = await asyncio.wait_for(reader.read(100), 0.4)
            except TimeoutError:
                continue
            await close(writer)
            return time.monotonic() - started, data
        raise AssertionError("it was never told to stop")

    async def all_at_once() -> None:
        end = asyncio.Event()
        probing = asyncio.create_task(probe_until(end, server.port, ASK))
        heads = asyncio.gather(*(drip(ASK, 0) for _ in range(100)))
        bodies = asyncio.gather(*(drip(ASK, len(HEAD)) for _ in range(100)))
        for seconds, data in await heads:
            assert 4 < seconds < 7
            assert data.startswith(b"HTTP/1.1 408")
        for seconds, data in await bodies:
            assert 14 < seconds < 17
            assert data.startswith(b"HTTP/1.1 408")
        end.set()
        assert await probing < 0.05

    asyncio.run(all_at_once())


@pytest.mark.alone
def test_slowhttptest_finds_the_server_answering(server: Server) -> None:
    """Its three attacks at once, 200 connections each, with a live probe beside them."""
    attack = [need("slowhttptest"), "-c", "200", "-r", "100", "-l", "25", "-u"]
    infer = f"{server.address}/v2/models/orchard/infer"
    attacks = {
        "headers": [*attack, infer, "-H", "-i", "1"],
        "body": [*attack, infer, "-B", "-i", "1", "-t", "POST"],
        "reading": [*attack, f"{server.address}/", "-X", "-w", "256", "-y", "512", "-z", "32"],
    }

    async def all_at_once() -> None:
        end = asyncio.Event()
        probing = asyncio.create_task(probe_until(end, server.port, ASK))
        running = {
            name: await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            for name, command in attacks.items()
        }
        said = {name: (await run.communicate())[0] for name, run in running.items()}
        end.set()
        assert await probing < 0.05
        for name in ("headers", "body"):  # long before the 25 seconds are over
            assert b"No open connections left" in said[name], said[name][-500:]

    asyncio.run(all_at_once())


def test_bodies_over_the_limit_are_told_so_and_not_kept(server: Server) -> None:
    before = server.peak()
    part = b" " * (1 << 20)
    squeezed = gzip.compress(b" " * (200 << 20))
    wrong = [
        START + b"Content-Length: 200000000\r\n\r\n" + 40 * part,
        START + b"Transfer-Encoding: chunked\r\n\r\n" + 40 * (b"100000\r\n" + part + b"\r\n"),
        START + b"Content-Encoding: gzip\r\n" + b"Content-Length: %d\r\n\r\n" % len(squeezed)
        + squeezed,
    ]  # fmt: skip
    for request in wrong:
        data, _ = asyncio.run(exchange(server.port, request))
        assert data.startswith(b"HTTP/1.1 413"), data[:80]
        assert b'"the body is longer than 16777216 bytes"' in data
    assert server.peak() - before < 100
    answers_still(server)


CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
TWICE = {
    "two lengths": START + LENGTH + LENGTH + b"\r\n" + BODY,
    "two different lengths": START + LENGTH + b"Content-Length: 5\r\n\r\n" + BODY,
    "a length and chunks": START + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two codings": START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "an unknown coding": START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding before": START + b"Transfer-Encoding: x, chunked\r\n\r\n" + CHUNKS,
    "gzip before": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "a folded line": START + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "bare line feeds": (START + LENGTH).replace(b"\r\n", b"\n") + b"\n" + BODY,
    "one bare line feed": START + b"X: a\nY: b\r\n" + LENGTH + b"\r\n" + BODY,
    "no host": START.replace(b"Host: localhost\r\n", b"") + LENGTH + b"\r\n" + BODY,
    "two hosts": START + b"Host: localhost\r\n" + LENGTH + b"\r\n" + BODY,
    "a zero byte": START + b"X: a\0b\r\n" + LENGTH + b"\r\n" + BODY,
    "a chunk of no size": START + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n",
    "a negative length": START + b"Content-Length: -5\r\n\r\n" + BODY,
    "a signed length": START + b"Content-Length: +5\r\n\r\n" + BODY,
    "a space before the colon": START + b"Content-Length : 5\r\n\r\n" + BODY,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("request_bytes", TWICE.values(), ids=TWICE)
def test_what_others_may_read_otherwise_is_refused_and_closed(
    request_bytes: bytes, server: Server
) -> None:
    data, closed = asyncio.run(exchange(server.port, request_bytes + ASK))
    assert closed
    assert data.startswith(b"HTTP/1.1 400")
    assert data.count(b"\r\n\r\n") == 1  # nothing behind it was taken for a request
    assert set(json.loads(data.split(b"\r\n\r\n")[1])) == {"error"}
    answers_still(server)


@pytest.mark.parametrize(
    "head",
    [
        START + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
        START + b"".join(b"X%d: %b\r\n" % (i, b"a" * 90) for i in range(200)) + b"\r\n",
        b"POST /" + b"a" * 40_000,
    ],
    ids=["a long line", "many lines", "no end"],
)
def test_long_heads_are_refused(head: bytes, server: Server) -> None:
    data, closed = asyncio.run(exchange(server.port, head))
    assert closed
    assert data.startswith(b"HTTP/1.1 431")


def test_requests_may_follow_one_another_or_come_byte_by_byte(server: Server) -> None:
    health = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    data, closed = asyncio.run(exchange(server.port, ASK + health + ASK + ASK + health, 1.0))
    assert not closed
    assert data.count(b"HTTP/1.1 200") == 5
    kinds = [b"outputs" in part for part in data.split(b"HTTP/1.1 200")[1:]]
    assert kinds == [True, False, True, True, False]

    async def by_byte() -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for byte in ASK[:-1]:
            writer.write(bytes([byte]))
            await writer.drain()
        answer = await ask_on(reader, writer, ASK[-1:])
        await close(writer)
        return answer

    assert asyncio.run(by_byte()).status == 200


def test_the_excess_alone_is_turned_away(orchard_package: Path) -> None:
    with serving(orchard_package, "--max-connections", "4") as server:

        async def run() -> None:
            kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
            for reader, writer in kept:
                assert (await ask_on(reader, writer, ASK)).status == 200
            for _ in range(20):
                data, closed = await exchange(server.port, ASK)
                assert closed
                assert data.startswith(b"HTTP/1.1 503")
                assert b"retry-after: 1" in data
            for reader, writer in kept:
                assert (await ask_on(reader, writer, ASK)).status == 200
                await close(writer)
            await asyncio.sleep(0.3)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            assert (await ask_on(reader, writer, ASK)).status == 200
            await close(writer)

        asyncio.run(run())


def test_a_killed_worker_is_replaced_while_others_answer(orchard_package: Path) -> None:
    with serving(orchard_package, "--workers", "2") as server:
        url = f"http://127.0.0.1:{server.port}"

        def ask() -> bytes:
            with urllib.request.urlopen(f"{url}/v2/models/orchard/infer", BODY, timeout=5) as found:
                data: bytes = found.read()
                return data

        ask()
        before = workers(server)
        assert len(before) == 2
        os.kill(max(before), signal.SIGKILL)
        for _ in range(60):
            assert b"outputs" in ask()
        end = time.monotonic() + 15
        while len(now := workers(server)) < 2 or now == before:
            assert time.monotonic() < end, now
            time.sleep(0.1)
        time.sleep(1.5)  # workers hand over what they counted once a second
        with urllib.request.urlopen(f"{url}/metrics") as found:
            counts = re.findall(
                r"^gradline_requests_total\{.*\} (\d+)", found.read().decode(), re.M
            )
        assert sum(map(int, counts)) >= 60


def test_killed_workers_come_back_though_the_package_is_damaged(
    orchard_package: Path, tmp_path: Path
) -> None:
    """All of them, after a version that was published in the meantime."""
    folder = tmp_path / "orchard"
    shutil.copytree(orchard_package, folder / "1")
    with serving(tmp_path, "--workers", "2") as server:
        shutil.copytree(orchard_package, folder / "2")
        time.sleep(2.5)
        for version in "12":
            (folder / version / "model.onnx").write_bytes(b"")
        time.sleep(1.5)
        before = workers(server)
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        data, _ = asyncio.run(exchange(server.port, ASK, 15.0))
        assert data.startswith(b"HTTP/1.1 200")
        assert json.loads(data.split(b"\r\n\r\n")[1])["model_version"] == "2"
        assert not before & workers(server)
        server.process.terminate()
        _, log = server.process.communicate(timeout=15)
    assert "Traceback" not in log


def test_a_server_ends_where_no_worker_starts_any_more(
    orchard_package: Path, tmp_path: Path
) -> None:
    files = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    options = ["--certificate", files[0], "--certificate-key", files[1], "--workers", "2"]
    with serving(orchard_package, *options) as server:
        time.sleep(3)
        files[0].write_bytes(b"")
        one, other = workers(server)
        os.kill(one, signal.SIGKILL)
        time.sleep(6)
        assert server.process.poll() is None  # one still answers
        os.kill(other, signal.SIGKILL)
        _, log = server.process.communicate(timeout=20)
    assert server.process.returncode == 1
    assert 3 <= log.count("a worker did not start: ") <= 6
    assert "Error: no worker starts" in log
    assert "Traceback" not in log


def test_a_worker_that_is_busy_for_long_stays(orchard_package: Path) -> None:
    with serving(orchard_package, "--workers", "2") as server:
        time.sleep(3)
        before = workers(server)
        assert len(before) == 2
        os.kill(max(before), signal.SIGSTOP)
        time.sleep(8)
        os.kill(max(before), signal.SIGCONT)
        time.sleep(1)
        assert workers(server) == before


@pytest.mark.parametrize("seconds", [30.0, pytest.param(300.0, marks=pytest.mark.long)])
def test_memory_and_descriptors_are_flat(seconds: float, server: Server) -> None:
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    seen: Counter[object] = Counter()

    async def load(seconds: float) -> None:
        end = asyncio.Event()
        clients = [
            asyncio.create_task(ask_until(end, server.port, ASK, seen, lambda a: a.status))
            for _ in range(16)
        ]
        await asyncio.sleep(seconds)
        end.set()
        await asyncio.gather(*clients)

    asyncio.run(load(4))
    memory, opened = server.peak(), len(list(descriptors.iterdir()))
    asyncio.run(load(seconds))
    time.sleep(1)
    assert server.peak() - memory <= 3
    assert len(list(descriptors.iterdir())) <= opened + 1
    assert set(seen) == {200}


def test_a_package_damaged_on_disk_is_served_on_and_told_of(
    orchard_package: Path, tmp_path: Path
) -> None:
    shutil.copytree(orchard_package, tmp_path / "orchard" / "1")
    with serving(tmp_path) as server:
        (tmp_path / "orchard" / "1" / "model.onnx").write_bytes(b"")
        shutil.copytree(tmp_path / "orchard" / "1", tmp_path / "orchard" / "2")
        time.sleep(2.5)
        data, _ = asyncio.run(exchange(server.port, ASK, 1.0))
        assert data.startswith(b"HTTP/1.1 200")
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as found:
            metrics = found.read().decode()
        assert 'gradline_package_damaged{model="orchard"} 1.0' in metrics
        assert 'gradline_versions_refused_total{model="orchard"} 1.0' in metrics
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v2/health/ready") as found:
            assert json.load(found) == {"ready": True}
        server.process.terminate()
        _, log = server.process.communicate(timeout=15)
    assert "orchard: the files of version 1 changed on disk" in log
    assert "orchard version 2 is refused" in log


def test_tls_and_a_token(orchard_package: Path, tmp_path: Path) -> None:
    key, certificate, token = (tmp_path / name for name in ("key.pem", "cert.pem", "token"))
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
    words += ["/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    words += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    token.write_text("0123456789abcdef\n")
    options = ["--certificate", certificate, "--certificate-key", key, "--token-file", token]
    with serving(orchard_package, *options) as server:
        url = f"https://localhost:{server.port}/v2/models/orchard/infer"
        trusted = ssl.create_default_context(cafile=str(certificate))
        request = urllib.request.Request(url, BODY)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, context=trusted)
        request.add_header("Authorization", "Bearer 0123456789abcdef")
        with urllib.request.urlopen(request, context=trusted) as found:
            assert b"outputs" in found.read()
