"""A connection without a socket: deadlines, limits and counts, on a clock of the tests' own."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

import gradline
from gradline.serve.application import Application
from gradline.serve.connections import Connection, connect
from gradline.serve.limits import read_token
from gradline.serve.metrics import ServerMetrics
from gradline.serve.repository import MAX_OTHERS, Repository
from gradline.serve.surplus import Surplus
from gradline.serve.sweeping import EVERY, Sweep
from gradline_export import export_package
from gradline_trainer import fit
from serving import infer_request
from test_serve_protocol import ROWS, application, ask, fault, infer, outputs, tensor

ASK = infer_request([ROWS[0]])
HEAD, BODY = (part for part in ASK.split(b"\r\n\r\n"))
GET = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Transport(asyncio.Transport):
    """What was written, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.unread = 0
        self.ended = ""

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.sent += b"<eof>"

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Clock:
    """A connection of an application, in a loop whose time goes on only when it is told."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.loop = asyncio.new_event_loop()
        self.now = 0.0
        self.loop.time = lambda: self.now  # type: ignore[method-assign]
        self.config = Config(app, lifespan="off", timeout_keep_alive=75, proxy_headers=False)
        self.config.load()
        self.state = ServerState()
        self.sweep = Sweep()  # that of real servers goes on in their loops
        self.connection, self.transport = self.connected()

    def connected(self, most: int = 10) -> tuple[Any, Transport]:
        connection, transport = connect(most, self.config, self.state, {}, self.loop), Transport()
        connection.sweep = self.sweep
        self.loop.call_soon(connection.connection_made, transport)
        self.settle()
        return connection, transport

    def settle(self) -> None:
        """Have all tasks that can go on do so."""
        for _ in range(20):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def receive(self, data: bytes) -> None:
        """Have bytes arrive, and every task that they start end."""
        self.connection.data_received(data)
        self.settle()

    def passes(self, seconds: float) -> None:
        """Let time go on, in the steps in which deadlines are looked at."""
        for _ in range(round(seconds / EVERY)):
            self.now += EVERY
            self.settle()

    @property
    def statuses(self) -> list[int]:
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+)", self.transport.sent)]


@pytest.fixture(scope="module")
def app(orchard_package: Path) -> Application:
    return application(orchard_package)


@pytest.fixture
def clock(app: Application) -> Iterator[Clock]:
    made = Clock(app)
    yield made
    made.loop.close()


# How long each part of a request may take

PARTS = {
    "no byte at all": (b"", 5, []),
    "a part of a line": (HEAD[:20], 5, [408]),
    "a head without its end": (HEAD + b"\r\n", 5, [408]),
    "a head and no body": (HEAD + b"\r\n\r\n", 15, [408]),
    "a part of a body": (HEAD + b"\r\n\r\n" + BODY[:5], 15, [408]),
    "nothing more after an answer": (ASK, 75, [200]),
    "a part of the next head": (ASK + HEAD[:20], 5, [200, 408]),
}


@pytest.mark.parametrize(("data", "seconds", "answers"), PARTS.values(), ids=PARTS)
def test_each_part_of_a_request_has_its_time_and_no_more(
    data: bytes, seconds: float, answers: list[int], clock: Clock
) -> None:
    if data:
        clock.receive(data)
    clock.passes(seconds - EVERY)
    assert clock.statuses == answers[: data.count(BODY)]
    assert not clock.transport.ended
    clock.passes(0.5)
    assert clock.statuses == answers
    if answers[-1:] == [408]:
        assert clock.transport.sent.endswith(b"<eof>")
        clock.passes(1.5)  # the client had time to read
    assert clock.transport.ended == "closed"


@pytest.mark.parametrize(("data", "seconds"), [(HEAD, 5), (ASK[:-1], 15)], ids=["head", "body"])
def test_bytes_that_trickle_in_win_no_time(data: bytes, seconds: float, clock: Clock) -> None:
    start = len(HEAD) + 4 if seconds == 15 else 0
    clock.receive(data[:start] or data[:1])
    for place in range(start or 1, start + round(seconds / EVERY)):
        clock.receive(data[place : place + 1])
        clock.passes(EVERY)
    clock.passes(0.5)
    assert clock.statuses == [408]


def test_the_time_in_which_the_server_was_busy_counts_for_nobody(clock: Clock) -> None:
    clock.receive(HEAD)
    clock.now = 60.0  # a minute in which the loop had no turn
    clock.settle()
    assert clock.statuses == []
    clock.receive(b"\r\n\r\n" + BODY)
    assert clock.statuses == [200]


def test_whoever_reads_nothing_is_cut_off_after_a_while(clock: Clock) -> None:
    clock.receive(ASK)
    clock.transport.unread = 1
    clock.passes(15)
    assert not clock.transport.ended
    clock.passes(0.5)
    assert clock.transport.ended == "aborted"


def test_a_head_may_have_so_many_bytes(clock: Clock) -> None:
    clock.receive(HEAD + b"\r\nX: " + b"a" * (16 << 10) + b"\r\n\r\n")
    assert clock.statuses == [431]


def test_a_connection_beyond_the_most_is_a_surplus(clock: Clock) -> None:
    assert isinstance(clock.connection, Connection)
    assert isinstance(clock.connected(most=1)[0], Surplus)


# What is counted


def counted(app: Application, name: str) -> float:
    """Return a count of the orchard's as Prometheus gets it."""
    text = ask(app, "/metrics").body.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_the_quick_path_counts_requests_rows_and_seconds(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def untaken(*_: Any) -> None:
        raise AssertionError("the request took the long way")

    names = {
        'gradline_requests_total{code="200",model="orchard"}': 2,
        'gradline_requests_total{code="400",model="orchard"}': 1,
        'gradline_rows_total{model="orchard",version="1"}': 3,
        'gradline_request_seconds_count{model="orchard"}': 3,
    }
    before = {name: counted(clock.app, name) for name in names}
    monkeypatch.setattr(Application, "_answer", untaken)
    clock.receive(ASK + infer_request(ROWS) + infer_request([[1.0]]))
    assert clock.statuses == [200, 200, 400]
    assert clock.state.total_requests == 3
    monkeypatch.undo()
    assert {name: counted(clock.app, name) - before[name] for name in names} == names


@pytest.mark.parametrize("data", [HEAD[:20], HEAD + b"\r\n\r\n"], ids=["head", "body"])
def test_a_request_that_does_not_arrive_is_counted(data: bytes, clock: Clock) -> None:
    model = "orchard" if b"\r\n\r\n" in data else ""
    name = f'gradline_requests_total{{code="408",model="{model}"}}'
    before = counted(clock.app, name)
    clock.receive(data)
    clock.passes(16)
    assert counted(clock.app, name) == before + 1


@pytest.mark.parametrize("token", [None, b"0123456789abcdef"])
def test_both_ways_ask_who_it_is(token: bytes | None, orchard_package: Path) -> None:
    clock = Clock(application(orchard_package, token=token, hosts=frozenset({"localhost"})))
    for request in (ASK, ASK.replace(b"Content-Type", b"Accept-Encoding: x\r\nContent-Type"), GET):
        expected = 401 if token and request is not GET else 200
        clock.transport.sent = b""
        clock.receive(request)
        assert clock.statuses == [expected]
        clock.transport.sent = b""
        clock.receive(request.replace(b"Host: localhost", b"Host: evil.example"))
        assert clock.statuses == [400]
    clock.loop.close()


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_bearer_is_spelt_in_any_case(kind: str, orchard_package: Path) -> None:
    """As every scheme's name (RFC 9110, 11.1)."""
    app = application(orchard_package, token=b"0123456789abcdef")
    assert ask(app, "/v2", authorization=f"{kind} 0123456789abcdef").status == 200
    assert fault(ask(app, "/v2", authorization=f"{kind} 0123456789abcdeF"), 401)
    assert fault(ask(app, "/v2", authorization="Basic 0123456789abcdef"), 401)


def test_blanks_around_the_token_are_none_of_it(orchard_package: Path) -> None:
    app = application(orchard_package, token=b"0123456789abcdef")
    assert ask(app, "/v2", authorization="Bearer   0123456789abcdef ").status == 200


@pytest.mark.parametrize(("length", "fits"), [(15, False), (16, True)])
def test_a_token_has_sixteen_characters_or_more(length: int, fits: bool, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a" * length + "\n")
    if fits:
        assert read_token(tmp_path / "token") == b"a" * length
    else:
        with pytest.raises(gradline.InputError, match="16 or more characters"):
            read_token(tmp_path / "token")


# What is answered at once, and what is kept


@pytest.mark.parametrize(("length", "model"), [(b"99999", "orchard"), (b"100000", None)])
def test_a_body_that_takes_long_is_not_answered_between_others(
    length: bytes, model: str | None, app: Application
) -> None:
    assert app.at_once(b"/v2/models/orchard/infer", [(b"content-length", length)]) == model


@pytest.mark.parametrize(
    "more",
    [
        b"Transfer-Encoding: chunked",
        b"Content-Length: 94",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Host: localhost",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(more: bytes, clock: Clock) -> None:
    clock.receive(HEAD + b"\r\n" + more + b"\r\n\r\n" + BODY)
    assert clock.statuses == [400]


def test_so_many_versions_stay_loaded_and_no_more(orchard_package: Path, tmp_path: Path) -> None:
    versions = [str(number) for number in range(1, MAX_OTHERS + 4)]
    for version in versions:
        shutil.copytree(orchard_package, tmp_path / "orchard" / version)
    served = Repository([tmp_path], ServerMetrics())
    for version in versions:
        assert served.find("orchard", version) is not None
    assert list(served.models["orchard"].others) == versions[-1 - MAX_OTHERS : -1]


# float32's own maximum


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Application:
    """Serves y = x / 2 in float32."""
    table = {"v": [-8.0, 2.0, 4.0, 6.0], "y": [-4.0, 1.0, 2.0, 3.0]}
    root = tmp_path_factory.mktemp("halves")
    return application(export_package(fit(table, "y", dtype="float32"), root, "halves"))


INFER = "/v2/models/halves/infer"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", ["FP32", "FP64"])
@pytest.mark.parametrize("name", ["x", "v"])
def test_the_largest_float32_is_taken_as_it_is_printed(
    sign: int, kind: str, name: str, halves: Application
) -> None:
    """Its shortest digits, 3.4028235e38, are more than it is, and round to it."""
    largest = sign * 3.4028235e38
    assert abs(largest) > float(gradline.load(halves_path(halves)).dtype.type(largest)) * sign
    for data in ([[largest]], [[1.0], [largest]]):
        request = {"inputs": [tensor(data, kind, name)]}
        flat = json.loads(json.dumps(request))
        flat["inputs"][0]["data"] = [value for row in data for value in row]
        for asked in (request, flat):
            found = outputs(infer(halves, asked, INFER))
            assert found[-1, 0] == pytest.approx(largest / 2)
    beyond = {"inputs": [tensor([[sign * 3.4028236e38]], kind, name)]}
    assert fault(infer(halves, beyond, INFER))


def halves_path(app: Application) -> Path:
    return app.repository.models["halves"].place
