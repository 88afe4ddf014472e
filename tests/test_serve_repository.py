"""What the server does with packages and requests that are not as they should be."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import gradline
from gradline.commands.group import run
from gradline.serve.application import ANSWERS, Application
from gradline.serve.limits import Limits
from gradline.serve.metrics import ServerMetrics
from gradline.serve.repository import Repository
from test_serve_protocol import INFER, ROWS, application, ask, fault, infer, tensor

HEADERS = [(b"host", b"localhost")]


@pytest.fixture
def root(orchard_package: Path, tmp_path: Path) -> Path:
    shutil.copytree(orchard_package, tmp_path / "orchard" / "1")
    return tmp_path


def told(caplog: pytest.LogCaptureFixture, words: str) -> int:
    """Return how often the log says so."""
    return sum(words in record.getMessage() for record in caplog.records)


def looked_at_thrice(app: Application) -> None:
    for _ in range(3):
        app.repository.refresh()


def test_a_broken_package_in_a_folder_is_told_once_until_it_changes(
    root: Path, orchard_package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(root)
    shutil.copytree(orchard_package, root / "broken" / "1")
    (root / "broken" / "1" / "golden.json").unlink()
    looked_at_thrice(app)
    assert told(caplog, "broken is not served: golden.json is missing") == 1
    assert b'versions_refused_total{model="broken"} 1.0' in ask(app, "/metrics").body
    (root / "broken" / "1" / "model.onnx").unlink()
    looked_at_thrice(app)
    assert told(caplog, "broken is not served") == 2
    assert infer(app, {"inputs": [tensor(ROWS)]}).status == 200


def test_a_copy_under_another_folder_is_told_once(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(root)
    shutil.copytree(root / "orchard", root / "copy")
    looked_at_thrice(app)
    assert told(caplog, "copy is not served: ") == 1
    assert told(caplog, "holds the package 'orchard', expected 'copy'") == 2  # version and package


def test_two_folders_of_one_name_are_not_both_served(
    root: Path, orchard_package: Path, tmp_path: Path
) -> None:
    shutil.copytree(orchard_package, tmp_path / "elsewhere" / "orchard" / "1")
    with pytest.raises(gradline.InputError, match="two models are named 'orchard'") as error:
        application(root / "orchard", tmp_path / "elsewhere" / "orchard")
    assert error.value.code == "same-name"


def test_a_bad_pin_is_told_once_until_it_changes(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(root)
    for text, times in (("7", 1), ("8", 2)):
        (root / "orchard" / "pinned").write_text(text)
        looked_at_thrice(app)
        assert told(caplog, "orchard keeps serving version 1") == times
    (root / "orchard" / "pinned").unlink()
    looked_at_thrice(app)
    (root / "orchard" / "pinned").write_text("8")
    looked_at_thrice(app)
    assert told(caplog, "orchard keeps serving version 1") == 3


def test_an_empty_newest_version_does_not_keep_the_server_from_starting(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "orchard" / "2").mkdir()
    app = application(root)
    assert app.repository.models["orchard"].current.version == "1"
    assert told(caplog, "orchard version 2 is refused") == 1


def test_a_folder_that_vanishes_leaves_what_was_loaded(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(root)
    shutil.rmtree(root)
    looked_at_thrice(app)
    assert infer(app, {"inputs": [tensor(ROWS)]}).status == 200
    assert told(caplog, "orchard: the files of version 1 changed on disk") == 1


def test_what_is_touched_is_not_damaged_and_what_is_mended_no_longer(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(root)
    file = root / "orchard" / "1" / "model.onnx"
    written = file.read_bytes()

    def damaged(data: bytes) -> bool:
        file.write_bytes(data)
        os.utime(file, (1, len(data)))
        looked_at_thrice(app)
        return b'package_damaged{model="orchard"} 1.0' in ask(app, "/metrics").body

    assert not damaged(written)
    assert not caplog.records
    assert damaged(written[:-1])
    assert told(caplog, "orchard: the files of version 1 changed on disk") == 1
    assert not damaged(written)


def test_threads_that_ask_for_many_versions_load_each_once(
    orchard_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradline.serve import repository

    for version in range(1, 13):
        shutil.copytree(orchard_package, tmp_path / "orchard" / str(version))
    served = Repository([tmp_path], ServerMetrics())
    loaded: list[str] = []

    def load(place: Path, **options: Any) -> object:
        loaded.append(place.name)
        time.sleep(0.02)
        return original(place, **options)

    original = repository.load
    monkeypatch.setattr(repository, "load", load)
    faults: list[BaseException] = []

    def ask_for(numbers: range) -> None:
        try:
            assert all(served.find("orchard", str(number)) for number in numbers)
        except BaseException as error:
            faults.append(error)

    for numbers in (range(1, 4), range(1, 12)):  # the second has more than are kept
        threads = [threading.Thread(target=ask_for, args=(numbers,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(numbers) == 3:
            assert sorted(loaded) == ["1", "2", "3"]
    assert not faults


def test_a_fault_of_the_servers_own_is_logged_and_not_shown(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(root)

    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setitem(ANSWERS, "infer", fail)
    caplog.set_level(logging.ERROR)
    reply = infer(app, {"inputs": [tensor(ROWS)]})
    at_once = app.answer_at_once(INFER.encode(), HEADERS, b"{}")
    assert "secret" not in fault(reply, 500)
    assert (at_once[0], at_once[2]) == (500, reply.body)
    assert caplog.text.count("RuntimeError: a secret") == 2
    assert b'gradline_requests_total{code="500",model="orchard"} 2.0' in ask(app, "/metrics").body


def test_a_small_limit_holds_for_usual_requests(root: Path) -> None:
    app = Application(Repository([root], ServerMetrics()), ServerMetrics(), Limits(body=50))
    assert app.at_once(INFER.encode(), [*HEADERS, (b"content-length", b"50")]) == "orchard"
    assert app.at_once(INFER.encode(), [*HEADERS, (b"content-length", b"51")]) is None


def test_texts_that_are_no_unicode_are_the_clients_fault(root: Path) -> None:
    head = b'{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":'
    app = application(root)
    for data in (b'["\xff"]', b'[["\xff"]]', b'["\\ud800"]'):
        assert fault(ask(app, INFER, head + data + b"}]}"))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("[1, 2, 1.5]", "Expected `int | null`, got `float` - at `$[2]`"),
        (" [ [1, 2, 1.5]]", "Expected `int | null`, got `float` - at `$[0][2]`"),
        ("[1, [2], 3]", "Expected `int | null`, got `array` - at `$[1]`"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(data: str, named: str, root: Path) -> None:
    body = '{"inputs":[{"name":"x","shape":[1,3],"datatype":"INT64","data":' + data + "}]}"
    assert named in fault(ask(application(root), INFER, body.encode()))


def test_a_certificate_that_is_none_is_bad_input(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = root / "c.pem"
    file.write_text("nothing")
    for workers in ("1", "2"):
        words = ["--certificate", str(file), "--certificate-key", str(file), "--workers", workers]
        assert run(["serve", str(root), "--port", "0", *words]) == 2
        assert "are not a certificate and its key" in capsys.readouterr().err
