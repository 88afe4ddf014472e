"""Publishing survives kills at any moment, and other publishers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
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
