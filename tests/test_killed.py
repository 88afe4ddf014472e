"""Killed at any moment, a publisher leaves whole versions, and the next one removes the rest."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gradline.model import Model
from gradline.package.reading import check_files, read_package
from gradline.package.versions import published_versions
from gradline_export.publish.publishing import publish

pytestmark = pytest.mark.slow

REFERENCE = Path(__file__).parents[1] / "artifacts" / "orchard" / "1"
FILES = {path.name: path.read_bytes() for path in REFERENCE.iterdir()}
COMMAND = [sys.executable, "-m", "gradline", "train-and-export", "--quiet", "--output"]
#: A process that has imported everything and forks a child for each line that it reads.
FORKS = """
import os, signal, sys
from pathlib import Path
import onnx, onnxruntime, torch
import gradline_export.command, gradline_export.train_and_export, gradline_export.report.report
from gradline.cli import main
from gradline_export.publish.publishing import publish

reference, root = map(Path, sys.argv[1:])
files = {path.name: path.read_bytes() for path in reference.iterdir()}
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombie stays
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        while line == "publish\\n":
            publish(files, root, "orchard")
        try:
            main(["train-and-export", "--quiet", "--output", str(root)])
        finally:
            os._exit(0)  # PyTorch waits for threads that a fork has not
    print(child, flush=True)
"""
Start = Callable[[str], int]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a child that publishes in a loop, or does the whole job, and returns its number."""
    command = [sys.executable, "-c", FORKS, str(REFERENCE)]
    with subprocess.Popen(
        [*command, str(tmp_path / "artifacts")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        lines = iter(process.stdout.readline, "")

        def fork(job: str) -> int:
            process.stdin.write(f"{job}\n")
            process.stdin.flush()
            return next(int(line) for line in lines if line.strip().isdigit())

        yield fork
        process.stdin.close()


def gone(child: int) -> bool:
    try:
        os.kill(child, 0)
    except ProcessLookupError:
        return True
    return False


def kill(child: int, delay: float) -> None:
    time.sleep(delay)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    while not gone(child):
        time.sleep(0.0005)


class Folder:
    """A package's folder, looked over after each kill."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "orchard"
        self.proved: set[int] = set()
        self.kills = self.debris = 0

    def look(self) -> None:
        """Prove every new version, publish another, and see that it removed what was left."""
        self.kills += 1
        self.debris += bool(self.hidden())
        self.prove()
        publish(FILES, self.root, "orchard")
        assert self.hidden() == []
        self.prove()
        assert {path.name for path in self.path.iterdir()} == set(map(str, self.proved))
        assert [path.name for path in self.root.iterdir()] == ["orchard"]

    def hidden(self) -> list[Path]:
        return list(self.path.glob(".*"))

    def prove(self) -> None:
        """Do what `gradline verify` does with each version that was not there before."""
        for number in {*published_versions(self.path)} - self.proved:
            package = read_package(self.path / str(number))
            held = {path.name for path in package.path.iterdir()}
            assert {*check_files(package), "manifest.json"} == held
            Model(package)
            self.proved.add(number)


def test_a_publisher_killed_at_170_moments_leaves_whole_versions(
    start: Start, tmp_path: Path
) -> None:
    folder, chance = Folder(tmp_path / "artifacts"), random.Random(1)
    for _ in range(110):  # in the middle of publishing
        kill(start("publish"), chance.uniform(0, 0.02))
        folder.look()
    published = folder.debris
    began = time.monotonic()
    child = start("whole job")
    while not gone(child):
        time.sleep(0.001)
    whole = time.monotonic() - began
    for _ in range(60):  # anywhere
        kill(start("whole job"), chance.uniform(0, whole))
        folder.look()
    print(
        f"{folder.kills} kills, {published} and {folder.debris - published} of them in the middle "
        f"of a version, {len(folder.proved)} whole versions; the job takes {whole:.2f} s"
    )
    assert folder.kills == 170
    assert published > 30  # else the moments prove little


def test_the_command_killed_at_30_moments_leaves_whole_versions(tmp_path: Path) -> None:
    folder, chance = Folder(tmp_path / "artifacts"), random.Random(2)
    began = time.monotonic()
    subprocess.run([*COMMAND, str(folder.root)], check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - began
    for _ in range(30):
        process = subprocess.Popen([*COMMAND, str(folder.root)], stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, whole))
        process.kill()
        process.wait()
        folder.look()
    print(f"{folder.kills} kills of the command, {len(folder.proved)} whole versions")
    subprocess.run([*COMMAND, str(folder.root)], check=True, stdout=subprocess.DEVNULL)
    folder.prove()
    assert len(folder.proved) >= 32
