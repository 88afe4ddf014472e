"""What a connection may carry, how long it may last, and how it ends: loopback only, bounded."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pytest

import gradline
from gradline.commands.group import run
from serving import (
    IMPATIENT,
    Server,
    ask_on,
    close,
    exchange,
    infer_request,
    probe_until,
    ready_workers,
    serving,
)

pytestmark = pytest.mark.slow

ROW = [73.0, 67.0, 43.0]
ASK = infer_request([ROW])
LARGE = infer_request([ROW] * 40_000)  # a thread answers it
BODY = ASK.split(b"\r\n\r\n")[1]
GET = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n"
LIVE = GET + b"\r\n"
START = b"POST /v2/models/orchard/infer HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def server(orchard_package: Path) -> Iterator[Server]:
    with serving(orchard_package, program=("-c", IMPATIENT)) as server:
        yield server


def statuses(server: Server, data: bytes, seconds: float = 1.0) -> tuple[list[int], bool]:
    """Return the statuses of all answers to these bytes, and whether the server then closed."""
    received, closed = asyncio.run(exchange(server.port, data, seconds))
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+)", received)], closed


# One request behind another


@pytest.mark.parametrize("before", [b"", b"\r\n\r\n", LIVE, ASK, LARGE], ids=len)
@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (GET + b"".join(b"X%d: %b\r\n" % (i, b"a" * 90) for i in range(200)) + b"\r\n", 431),
        (START + b"X: a\nContent-Length: 2\r\n\r\n{}", 400),
        (START + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", 400),
        (START + b"Host: localhost\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
    ids=["a long line", "many lines", "a bare line feed", "a fold", "two hosts", "CONNECT", "TLS"],
)
def test_a_bad_head_is_refused_wherever_it_stands_and_after_what_was_asked_before(
    before: bytes, bad: bytes, status: int, server: Server
) -> None:
    expected = [200, status] if before.strip() else [status]
    assert statuses(server, before + bad + ASK, 5) == (expected, True)


def test_answers_to_head_keep_their_place(server: Server) -> None:
    head = LIVE.replace(b"GET", b"HEAD")
    assert statuses(server, head + LIVE) == ([200, 200], False)
    assert statuses(server, head * 3 + ASK + head) == ([200] * 5, False)


@pytest.mark.parametrize("request_", [ASK, LARGE, LIVE], ids=["small", "large", "GET"])
def test_a_wish_for_another_protocol_is_ignored(request_: bytes, server: Server) -> None:
    """As Java's client asks with each first request on a connection."""
    wish = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIA\r\n"
    )
    asked = request_.replace(b"Host: localhost\r\n", b"Host: localhost\r\n" + wish)
    for data in (asked, asked + ASK):
        received, closed = asyncio.run(exchange(server.port, data, 0.7))
        assert not closed
        assert received.count(b"HTTP/1.1 200") == received.count(b"HTTP/1.1") == data.count(b"Host")
    plain, _ = asyncio.run(exchange(server.port, request_, 0.7))
    assert plain.split(b"\r\n\r\n")[1] == received.split(b"\r\n\r\n")[1].split(b"HTTP/1.1")[0]


def test_what_is_no_body_is_limited_too(server: Server) -> None:
    """Trailers and chunk extensions without end, and heads behind empty lines."""
    chunked = START + b"Transfer-Encoding: chunked\r\n\r\n"
    before = server.peak()
    for start, more in (
        (chunked + b"1\r\na\r\n0\r\n", b"X: " + b"a" * 1000 + b"\r\n"),
        (chunked + b"1\r\na\r\n0\r\nX: ", b"a" * 1000),
        (chunked + b"5;x=", b"a" * 1000),
        (b"\r\n\r\n" + GET + b"X: ", b"a" * 1000),
        (b"", b"\r\n"),
    ):
        received, closed = asyncio.run(exchange(server.port, start + more * 50_000, 5))
        assert closed
        assert re.match(rb"HTTP/1.1 4(31|00) ", received), received[:80]
        assert received.count(b"\r\n\r\n") == 1
    assert server.peak() - before < 10


def test_trailers_are_no_headers(orchard_package: Path) -> None:
    request = START.replace(b"localhost", b"evil.example") + b"Transfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    with serving(orchard_package) as server:
        assert statuses(server, request + chunks + b"Host: localhost\r\n\r\n")[0] == [400]
        request = request.replace(b"evil.example", b"localhost")
        trailer = b"Content-Type: image/png\r\n\r\n"
        assert statuses(server, request + chunks + trailer)[0] == [200]


def test_a_small_body_limit_holds(orchard_package: Path) -> None:
    with serving(orchard_package, "--max-body", len(BODY) - 1) as server:
        assert statuses(server, ASK, 3) == ([413], True)
    with serving(orchard_package, "--max-body", len(BODY)) as server:
        assert statuses(server, ASK) == ([200], False)


# How long a connection may last


@pytest.mark.parametrize(
    ("first", "then", "limit"),
    [
        (b"", b"P", 1.0),
        (b"", b"\r\n", 1.0),
        (LIVE, b"G", 1.0),
        (LIVE + b"G", b"E", 1.0),
        (LARGE + b"G", b"E", 1.0),
        (START + b"Content-Length: 9\r\n\r\n", b"a", 2.0),
        (START + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 2.0),
        # answered before its body came, which nobody waits for
        (START.replace(b"orchard", b"none") + b"Content-Length: 9999\r\n\r\n", b"a", 2.0),
    ],
    ids=["a head", "empty lines", "a second head", "one begun at once", "one begun while asked",
         "a body", "chunks", "a body behind its answer"],
)  # fmt: skip
def test_nobody_stays_by_sending_too_little(
    first: bytes, then: bytes, limit: float, server: Server
) -> None:
    """Whether bytes keep coming, or one more and no other."""

    async def stay(times: int) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(first)
        await asyncio.sleep(0.5)
        started = time.monotonic()
        reading = asyncio.create_task(reader.read(-1))
        for _ in range(times):
            writer.write(then)
            done, _ = await asyncio.wait([reading], timeout=0.25)
            if done:
                break
        await asyncio.wait_for(reading, 8)
        writer.close()
        return time.monotonic() - started

    async def both() -> list[float]:
        return await asyncio.gather(stay(1), stay(40))

    for seconds in asyncio.run(both()):
        assert seconds < limit + 1.5  # of which the second for reading the refusal


@pytest.mark.alone
def test_who_never_reads_is_closed_and_others_hardly_notice(server: Server) -> None:
    """Ten that ask for more than any buffer holds and read none of it, with a live probe beside."""
    rows = bytes(250_000 * 12)  # and 2 MB of answer
    raw = b"Inference-Header-Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(rows)

    async def deaf() -> float:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, ("127.0.0.1", server.port))
            started = loop.time()
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(send_on(connection), 12)
            return loop.time() - started

    async def send_on(connection: socket.socket) -> None:
        data = (START + raw + rows) * 4
        while True:
            await asyncio.get_running_loop().sock_sendall(connection, data)
            await asyncio.sleep(0.2)
            data = LIVE

    async def both() -> tuple[list[float], float]:
        end = asyncio.Event()
        probing = asyncio.create_task(probe_until(end, server.port, LIVE))
        lasted = await asyncio.gather(*(deaf() for _ in range(10)))
        end.set()
        return lasted, await probing

    lasted, late = asyncio.run(both())
    print(f"closed after {min(lasted):.1f} to {max(lasted):.1f} s")
    assert min(lasted) > 2
    assert late < 0.05


def test_a_client_that_reads_slowly_gets_its_whole_answer(server: Server) -> None:
    async def slowly() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 12)
        writer.write(LARGE)
        received = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", received)[1])  # type: ignore[index]
        received = b""
        while len(received) < length:
            received += await reader.read(1 << 16)
            await asyncio.sleep(0.02)
        writer.close()
        return received

    (output,) = json.loads(asyncio.run(slowly()))["outputs"]
    assert output["shape"] == [40_000, 2]


BUSY = IMPATIENT.replace(
    "sys.exit",
    """
import time
from gradline.serve import application
infer = application.infer
def late(served, body, json_length):
    if b"sleep" in body:
        time.sleep(2.5)
    return infer(served, body, json_length)
application.infer = late
sys.exit""",
)


def test_what_was_sent_in_time_is_answered_however_busy_the_server_was(
    orchard_package: Path,
) -> None:
    async def run_(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        busy, busy_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK[:9])
        await asyncio.sleep(0.3)
        body = BODY.replace(b"{", b'{"id": "sleep", ', 1)
        busy_writer.write(START + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.3)
        assert (await ask_on(reader, writer, ASK[9:])).status == 200
        assert (await busy.readline()).startswith(b"HTTP/1.1 200")
        for each in (writer, busy_writer):
            each.close()

    with serving(orchard_package, program=("-c", BUSY)) as server:
        asyncio.run(run_(server.port))


# What is told of it


def test_what_is_refused_is_counted_and_logged(orchard_package: Path) -> None:
    words = ["--max-connections", 2, "--access-log"]
    with serving(orchard_package, *words, program=("-c", IMPATIENT)) as server:

        async def surplus() -> None:
            kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
            for _ in range(3):
                assert (await exchange(server.port, ASK))[0].startswith(b"HTTP/1.1 503")
            for _, writer in kept:
                writer.close()

        asyncio.run(surplus())
        time.sleep(0.3)
        chunked = START + b"Transfer-Encoding: chunked\r\n\r\n1\r\n"
        for data, status in (
            (GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431),
            (START + b"Host: localhost\r\n\r\n", 400),
            (LIVE[:20], 408),
            (START + b"Content-Length: 9\r\n\r\n{", 408),
            (chunked, 408),
        ):
            assert statuses(server, data, 5) == ([status], True)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as found:
            text = found.read().decode()
        server.process.terminate()
        _, log = server.process.communicate(timeout=15)
    for code, model, count in ((503, "", 3), (431, "", 1), (400, "", 1), (408, "", 1),
                               (408, "orchard", 2)):  # fmt: skip
        assert f'gradline_requests_total{{code="{code}",model="{model}"}} {count}.0' in text
    lines = [json.loads(line) for line in log.splitlines()]
    told = Counter((line["method"], line["path"], line["status"]) for line in lines)
    infer = "/v2/models/orchard/infer"
    assert told == {("", "", 503): 3, ("GET", "/v2/health/live", 431): 1, ("POST", infer, 400): 1,
                    ("GET", "/v2/health/live", 408): 1, ("POST", infer, 408): 2,
                    ("GET", "/metrics", 200): 1}  # fmt: skip


def test_a_log_that_nobody_reads_any_more_is_no_fault_of_the_client(orchard_package: Path) -> None:
    words = ["-m", "gradline", "serve", str(orchard_package), "--port", "0", "--access-log"]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().strip().rpartition(b":")[2])
        process.stderr.close()
        try:
            for data in (ASK, LIVE, ASK):
                assert asyncio.run(exchange(port, data, 1))[0].startswith(b"HTTP/1.1 200")
        finally:
            process.terminate()


FAULTY = """
import sys
from gradline.commands.group import run
from gradline.serve.application import Application
Application._note = lambda *_: 1 / 0
sys.exit(run(sys.argv[1:]))
"""


def test_a_fault_of_the_server_is_told_as_one(orchard_package: Path) -> None:
    with serving(orchard_package, program=("-c", FAULTY)) as server:
        assert statuses(server, ASK, 3) == ([500], True)
        assert statuses(server, LIVE.replace(b"health", b"\xff"), 3) == ([400], True)
        server.process.terminate()
        _, log = server.process.communicate(timeout=15)
    assert log.count("internal error in a request") == 1
    assert log.count("ZeroDivisionError") == 1


# The end


def told_to_end(server: Server, how: signal.Signals = signal.SIGTERM) -> int:
    server.process.send_signal(how)
    return server.process.wait(15)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.3, 0.8])
def test_the_end_may_come_as_soon_as_the_address_is_told(
    workers: int, seconds: float, orchard_package: Path
) -> None:
    with serving(orchard_package, "--workers", workers) as server:
        time.sleep(seconds)
        assert told_to_end(server) == 0
        assert server.process.communicate()[1] == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_the_end_answers_who_had_connected(workers: int, orchard_package: Path) -> None:
    """SIGTERM under 16 clients with a connection for each request, 5 times."""
    asked = ASK.replace(b"Host: localhost", b"Host: localhost\r\nConnection: close")
    seen: Counter[str] = Counter()

    def ask(port: int) -> None:
        while True:
            with socket.socket() as raw:
                raw.settimeout(15)
                try:
                    raw.connect(("127.0.0.1", port))
                except ConnectionRefusedError:
                    return
                data = b""
                try:
                    raw.sendall(asked)
                    while part := raw.recv(1 << 16):
                        data += part
                except OSError:
                    data = b""
                seen["answered" if data.endswith(b"]}]}") else "lost"] += 1
                if not data:
                    return

    for _ in range(5):
        with serving(orchard_package, "--workers", workers) as server:
            ready_workers(server, workers)
            clients = [threading.Thread(target=ask, args=(server.port,)) for _ in range(16)]
            for client in clients:
                client.start()
            time.sleep(0.5)
            assert told_to_end(server) == 0
            for client in clients:
                client.join()
    print(dict(seen))
    assert set(seen) == {"answered"}


def test_a_request_on_its_way_is_answered_at_the_end(orchard_package: Path) -> None:
    """Heads and bodies that began before SIGTERM and end two seconds after it."""

    async def slow(port: int, request: bytes, first: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request[:first])
        await asyncio.sleep(2.5)
        writer.write(request[first:])
        data = await reader.read(-1)
        writer.close()
        return data

    async def all_of_them(server: Server) -> list[bytes]:
        head = ASK.index(b"\r\n\r\n") + 4
        kinds = [(ASK, 5), (ASK, head - 2), (ASK, head), (ASK, head + 9), (LARGE, 5000), (LIVE, 3)]
        asked = [asyncio.create_task(slow(server.port, *kind)) for kind in kinds]
        await asyncio.sleep(0.5)
        server.process.terminate()
        return await asyncio.gather(*asked)

    with serving(orchard_package) as server:
        for data in asyncio.run(all_of_them(server)):
            assert data.startswith(b"HTTP/1.1 200"), data[:80]
            assert b"connection: close" in data
        assert server.process.wait(15) == 0


# Who is let in


def cpu_seconds(server: Server) -> float:
    """Return the processor's time that the server took so far."""
    fields = Path(f"/proc/{server.process.pid}/schedstat").read_text().split()
    return int(fields[0]) / 1e9


@pytest.mark.alone
def test_a_flood_of_connections_beyond_the_most_costs_the_others_little(
    orchard_package: Path,
) -> None:
    """Four that ask all the time, and in every other half second 32 that are turned away and again.

    Their rates are those of a second of the server's own time: others may use the machine, too.
    """
    at_once = 32

    async def ask(port: int, answered: list[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        first = await ask_on(reader, writer, ASK)
        size = len(first.head + first.body)
        while answered[0] >= 0:
            writer.write(ASK * at_once)
            data = await reader.readexactly(size * at_once)
            assert data.count(b"HTTP/1.1 200") == at_once
            answered[0] += at_once
        writer.close()

    async def turned_away(port: int, end: float) -> int:
        times = 0
        while time.monotonic() < end:
            data, closed = await exchange(port, ASK)
            assert closed
            assert data.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1\r\n" in data
            times += 1
        return times

    async def run_(server: Server) -> tuple[list[float], list[float], int]:
        answered = [0]
        asking = [asyncio.create_task(ask(server.port, answered)) for _ in range(4)]
        await asyncio.sleep(0.5)
        rates: tuple[list[float], list[float]] = [], []
        turned = 0
        for half in range(24):
            before, used = answered[0], cpu_seconds(server)
            end = time.monotonic() + 0.5
            if half % 2:
                flood = (turned_away(server.port, end) for _ in range(32))
                turned += sum(await asyncio.gather(*flood))
            else:
                await asyncio.sleep(0.5)
            rates[half % 2].append((answered[0] - before) / (cpu_seconds(server) - used))
        answered[0] = -(10**9)
        await asyncio.gather(*asking)
        return *rates, turned

    with serving(orchard_package, "--max-connections", "4") as server:
        alone, beside, turned = asyncio.run(run_(server))
    kept = median(rate / other for rate, other in zip(beside, alone, strict=True))
    print(f"{median(alone):.0f}/s alone, {kept:.0%} beside {turned / 6:.0f}/s turned away")
    assert turned > 600
    assert kept > 0.8


FEW_DESCRIPTORS = """
import resource, sys
from gradline.commands.group import run
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
sys.exit(run(sys.argv[1:]))
"""


def test_the_surplus_is_told_so_where_few_descriptors_are_allowed_at_first(
    orchard_package: Path,
) -> None:
    """The usual soft limit of 1024, and 1000 connections that stay."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))

    async def run_(port: int) -> None:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(1000)]
        for reader, writer in kept:
            assert (await ask_on(reader, writer, LIVE)).status == 200
        more = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        await asyncio.sleep(0.3)
        for reader, writer in more:
            assert (await ask_on(reader, writer, ASK)).status == 503
        assert (await ask_on(*kept[0], ASK)).status == 200
        for _, writer in kept + more:
            writer.close()

    try:
        with serving(orchard_package, program=("-c", FEW_DESCRIPTORS)) as server:
            asyncio.run(run_(server.port))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_surplus_than_is_told_so_is_closed_untold(orchard_package: Path) -> None:
    """Silent connections take no more descriptors than are set aside for them."""
    with serving(orchard_package, "--max-connections", "4") as server:

        async def run_() -> None:
            first = await asyncio.open_connection("127.0.0.1", server.port)
            assert (await ask_on(*first, LIVE)).status == 200  # or it is closed as a slow head
            opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(1299)]
            await asyncio.sleep(3)
            assert len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) < 1100
            assert (await ask_on(*first, ASK)).status == 200
            for _, writer in [first, *opened]:
                writer.close()

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        try:
            asyncio.run(run_())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_who_agrees_on_no_tls_is_counted_and_closed(orchard_package: Path, tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    words = ["--certificate", public, "--certificate-key", private, "--max-connections", 5]
    trust = ssl.create_default_context(cafile=str(public))

    async def run_(port: int) -> None:
        async def ask() -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            status = (await ask_on(reader, writer, ASK)).status
            await close(writer)
            return status

        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        silent[0][1].write(b"\x16\x03\x01\x02\x00\x01")
        await asyncio.sleep(0.3)
        assert await ask() == 503  # the five are in
        started = time.monotonic()
        await asyncio.gather(*(asyncio.wait_for(reader.read(-1), 3) for reader, _ in silent))
        assert time.monotonic() - started < 2
        assert await ask() == 200
        for _, writer in silent:
            await close(writer)

    with serving(orchard_package, *words, program=("-c", IMPATIENT)) as server:
        asyncio.run(run_(server.port))


def test_the_most_connections_are_those_of_each_worker(orchard_package: Path) -> None:
    with serving(orchard_package, "--workers", "2", "--max-connections", "2") as server:

        async def run_() -> Counter[int]:
            kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(12)]
            answers = [await ask_on(reader, writer, ASK) for reader, writer in kept]
            for _, writer in kept:
                writer.close()
            return Counter(answer.status for answer in answers)

        deadline = time.monotonic() + 10
        while (found := asyncio.run(run_()))[200] > 4 or found[200] < 3:
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        assert set(found) == {200, 503}


def certificate(folder: Path) -> tuple[Path, Path]:
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    files = ["-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*words, *files, *names], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_tls_with_a_token(workers: str, orchard_package: Path, tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    (tmp_path / "token").write_text("0123456789abcdef0123\n")
    words = ["--certificate", public, "--certificate-key", private, "--workers", workers]
    with serving(orchard_package, *words, "--token-file", tmp_path / "token") as server:
        trust = ssl.create_default_context(cafile=str(public))
        url = f"https://localhost:{server.port}/v2"

        def ask(path: str, data: bytes | None = None, **headers: str) -> bytes:
            asked = urllib.request.Request(url + path, data, headers)
            with urllib.request.urlopen(asked, context=trust, timeout=10) as found:
                answer: bytes = found.read()
                return answer

        assert ask("/health/ready") == b'{"ready":true}'
        for path, data in (("", None), ("/models/orchard/infer", BODY)):
            with pytest.raises(urllib.error.HTTPError) as caught:
                ask(path, data)
            assert caught.value.code == 401
            assert caught.value.headers["www-authenticate"] == "Bearer"
            caught.value.close()
        answer = ask("/models/orchard/infer", BODY, Authorization="Bearer 0123456789abcdef0123")
        expected = gradline.load(orchard_package).predict([ROW])
        assert np.array_equal(json.loads(answer)["outputs"][0]["data"], expected[0])
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"{url}/health/live", timeout=10)
        data, closed = asyncio.run(exchange(server.port, LIVE))  # no TLS
        assert closed
        assert not data.startswith(b"HTTP/1.1 200")


def test_what_workers_counted_is_added_up(orchard_package: Path) -> None:
    with serving(orchard_package, "--workers", "2") as server:
        closing = START + b"Connection: close\r\nContent-Length: "
        for _ in range(50):
            data = closing + b"%d\r\n\r\n" % len(BODY) + BODY
            assert statuses(server, data, 5) == ([200], True)
        for _ in range(7):
            assert statuses(server, closing + b"1\r\n\r\n{", 5) == ([400], True)
        time.sleep(1.5)  # workers hand over what they counted once a second
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as found:
            text = found.read().decode()
    assert 'gradline_requests_total{code="200",model="orchard"} 50.0' in text
    assert 'gradline_requests_total{code="400",model="orchard"} 7.0' in text
    assert 'gradline_rows_total{model="orchard",version="1"} 50.0' in text
    assert 'gradline_request_seconds_count{model="orchard"} 57.0' in text
    assert 'gradline_model_version{model="orchard"} 1.0' in text


# How it is started


def test_a_port_in_use_is_told(
    server: Server, orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", str(orchard_package), "--port", str(server.port)]) == 2
    assert f"cannot listen on 127.0.0.1, port {server.port}" in capsys.readouterr().err


def test_any_asgi_server_can_run_it(orchard_package: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "uvicorn", "--factory", "gradline.serve:app", "--port", str(port)]
    environment = {**os.environ, "GRADLINE_SERVE": str(orchard_package)}
    with subprocess.Popen(
        [sys.executable, *words], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            while "Uvicorn running" not in (line := process.stderr.readline()):
                assert line
            data, _ = asyncio.run(exchange(port, ASK, 1))
            assert data.startswith(b"HTTP/1.1 200")
        finally:
            process.terminate()
            process.communicate(timeout=15)
