"""Publishing survives anything: kills at any moment, other publishers, a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import gradline
from gradline.program import run
from gradline.versions import published_versions
from gradline_export.publishing import publish

TRAIN = [sys.executable, "-c", "from gradline.cli import train_and_export; train_and_export()"]
# Reads a table and publishes over and over, in processes forked after the imports.
WORKER = """
import os, sys
from gradline_export import export_package
from gradline_trainer import fit
from gradline_trainer.orchard import TARGETS, orchard
table = orchard()
export_package(fit(table, TARGETS), sys.argv[1], "orchard")
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        while True:
            export_package(fit(table, TARGETS), sys.argv[1], "orchard", report=False)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def debris(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.isdigit())


def check_versions(folder: Path, checked: set[int]) -> None:
    """Check every version that was not checked before, as its user would."""
    for number in published_versions(folder):
        if number not in checked:
            gradline.load(folder / str(number))
            assert run(["verify", str(folder / str(number))]) == 0
            checked.add(number)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_killed_at_any_moment_of_publishing_every_version_is_whole(tmp_path: Path) -> None:
    """180 publishers, killed 0 to 60 ms after they began another version."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-W", "ignore", "-c", WORKER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, text=True, env=environment, **pipes) as worker:  # type: ignore[call-overload]
        left = kill_again_and_again(worker, tmp_path / "orchard", 180)
    assert left > 10  # or the kills met nobody at work
    check_versions(tmp_path / "orchard", set())
    publish({"a": b"1"}, tmp_path, "orchard")
    assert debris(tmp_path / "orchard") == []


def kill_again_and_again(worker: subprocess.Popen[str], folder: Path, times: int) -> int:
    """Return how many of the kills left a half-built version behind."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    draw, left = random.Random(4), 0
    for _ in range(times):
        worker.stdin.write("\n")
        worker.stdin.flush()
        child = int(worker.stdout.readline())
        time.sleep(draw.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        assert worker.stdout.readline() == "ended\n"
        left += bool(debris(folder))
    return left


@pytest.mark.slow
def test_the_command_killed_at_any_moment_leaves_no_half_version(tmp_path: Path) -> None:
    """20 whole runs of the command, killed between its start and its end."""
    command = [*TRAIN, "-o", str(tmp_path), "-q", "--no-report"]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - started
    folder, draw = tmp_path / "orchard", random.Random(5)
    ended = set()
    for _ in range(20):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(0, 1.1 * whole))
        process.kill()
        ended.add(process.wait())
    assert -signal.SIGKILL in ended
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert debris(folder) == []
    check_versions(folder, set())


@pytest.mark.slow
def test_eight_publishers_at_once_give_eight_versions(tmp_path: Path) -> None:
    command = [*TRAIN, "-o", str(tmp_path), "-q", "--no-report"]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: subprocess.run(command, check=False).returncode, range(8)))
    assert done == [0] * 8
    folder = tmp_path / "orchard"
    assert published_versions(folder) == list(range(1, 9))
    assert debris(folder) == []
    check_versions(folder, set())


def test_a_living_publishers_directory_is_left_alone(tmp_path: Path) -> None:
    """Another publisher comes, and goes, while one has written all but not published yet."""

    def another() -> None:
        publish({"b": b"2"}, tmp_path, "letters")
        assert len(debris(tmp_path / "letters")) == 1

    version = publish({"a": b"1"}, tmp_path, "letters", before_rename=another)
    assert version.name == "2"
    assert (version / "a").read_bytes() == b"1"
    assert debris(tmp_path / "letters") == []


def test_what_a_dead_publisher_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    left = folder / ".building-0123456789abcdef"
    left.mkdir(parents=True)
    (left / "model.onnx").write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    (folder / ".building-file").write_text("mine")
    publish({"a": b"1"}, tmp_path, "letters")
    assert debris(folder) == [".building-file", "notes.txt"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs rights that this process lacks")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_error_and_the_earlier_versions_serve_on(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train-and-export", "-o", str(small_disk), "-q"]
    assert run(command) == 0
    versions = 1
    while (status := run(command)) == 0:
        versions += 1
        assert versions < 50
    assert status == 2
    shown = capsys.readouterr().err
    assert "No space left on device" in shown
    assert "--output DIR" in shown
    assert "Traceback" not in shown
    assert sorted(map(int, (p.name for p in (small_disk / "orchard").iterdir()))) == list(
        range(1, versions + 1)
    )
    check_versions(small_disk / "orchard", set())
    assert gradline.load(small_disk / "orchard").version == versions
