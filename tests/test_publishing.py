"""Publishing next to others: dead publishers, live ones, a pin, and a disk that is full."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradline import InputError, OutputError, RefusedError, load
from gradline.cli import main
from gradline.package.reading import check_files, read_package
from gradline.package.versions import published_versions
from gradline_export import export_package
from gradline_export.publish.publishing import publish
from gradline_trainer import Fit
from terminals import piped

FILES = {"a": b"1" * 5000, "b": b"2" * 70_000}
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from gradline.cli import main
main(["train-and-export", "--quiet"])
"""
# A process imports everything once; then eight forks of it run the command at the same time.
EIGHT = """
import os, sys
import onnx, onnxruntime, torch
import gradline_export.command, gradline_export.train_and_export, gradline_export.report.report
from gradline.cli import main

children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        try:
            main(["train-and-export", "--quiet", "--output", sys.argv[1]])
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code)  # PyTorch waits for threads that a fork has not
        finally:
            os._exit(9)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""

AGAIN = """
import sys
from gradline_export.publish.publishing import publish
for _ in range(50):
    publish({"a": b"1", "b": b"2"}, sys.argv[1], "letters")
"""


def contents(version: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in version.iterdir()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def check_versions(folder: Path, count: int) -> None:
    """Check that `folder` holds these versions and nothing else, each proved by a load."""
    assert names(folder) == sorted(str(number) for number in range(1, count + 1))
    for path in folder.iterdir():
        package = read_package(path)
        assert len(check_files(package)) == len(names(path)) - 1  # the manifest itself
        assert load(path).predict([[73, 67, 43]]).shape == (1, 2)


# What others left, and what others still write


def test_what_a_dead_publisher_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "letters" / ".building-0123456789abcdef"
    left.mkdir(parents=True)
    (left / "a").write_bytes(b"half")
    assert publish(FILES, tmp_path, "letters").name == "1"
    assert names(tmp_path / "letters") == ["1"]


def test_what_a_live_publisher_writes_is_never_removed(tmp_path: Path) -> None:
    def others() -> None:
        for _ in range(3):
            publish(FILES, tmp_path, "letters")
        assert names(tmp_path / "letters")[0].startswith(".building-")

    version = publish(FILES, tmp_path, "letters", before_rename=others)
    assert names(tmp_path / "letters") == ["1", "2", "3", "4"]
    assert version.name == "4"
    assert all(contents(path) == FILES for path in version.parent.iterdir())


@pytest.mark.parametrize("step", ["mkdir", "flock"])
def test_a_publisher_whose_directory_is_taken_before_it_is_locked_makes_another(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir, flock, taken = Path.mkdir, fcntl.flock, []

    def others() -> None:
        if len(taken) < 3:
            taken.append(None)
            publish(FILES, tmp_path, "letters")

    def mkdir_and_lose_it(path: Path, *arguments: object, **options: object) -> None:
        mkdir(path, *arguments, **options)
        others()

    def flock_too_late(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            others()
        flock(descriptor, operation)

    if step == "mkdir":
        monkeypatch.setattr(Path, "mkdir", mkdir_and_lose_it)
    else:
        monkeypatch.setattr(fcntl, "flock", flock_too_late)
    publish(FILES, tmp_path, "letters")
    assert len(taken) == 3
    assert names(tmp_path / "letters") == ["1", "2", "3", "4"]
    assert all(contents(path) == FILES for path in (tmp_path / "letters").iterdir())


def test_no_version_appears_from_a_directory_that_is_being_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, **options: object) -> None:
        (path / "a").unlink(missing_ok=True)

    # Two machines whose locks don't reach each other: each takes the other for dead.
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: None)
    monkeypatch.setattr(shutil, "rmtree", half)
    with pytest.raises(OutputError, match="No such file"):
        publish(
            FILES, tmp_path, "letters", before_rename=lambda: publish(FILES, tmp_path, "letters")
        )
    assert published_versions(tmp_path / "letters") == [1]
    assert contents(tmp_path / "letters" / "1") == FILES


def test_without_locks_publishing_works_and_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")  # what NFS answers for a directory

    monkeypatch.setattr(fcntl, "flock", unsupported)
    left = tmp_path / "letters" / ".building-0123456789abcdef"
    left.mkdir(parents=True)
    assert contents(publish(FILES, tmp_path, "letters")) == FILES
    assert names(tmp_path / "letters") == [left.name, "1"]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = os.listdir("/dev/fd")
    for _ in range(5):
        (tmp_path / "letters" / ".building-x").mkdir(parents=True)
        publish(FILES, tmp_path, "letters")
    assert len(os.listdir("/dev/fd")) == len(before)


def test_links_and_files_that_look_like_debris_are_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_bytes(b"mine")
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / ".building-link").symlink_to(kept)
    (folder / ".building-file").write_bytes(b"mine")
    publish(FILES, tmp_path, "letters")
    assert names(folder) == [".building-file", ".building-link", "1"]
    assert contents(kept) == {"file": b"mine"}


def test_eight_commands_at_once_publish_eight_whole_versions(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EIGHT, str(tmp_path)]
    said = subprocess.check_output(command, text=True).splitlines()
    folder = tmp_path / "orchard"
    assert sorted(said) == [str(folder / str(number)) for number in range(1, 9)]
    check_versions(folder, 8)


def test_eight_processes_that_publish_without_a_pause_get_numbers_of_their_own(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", AGAIN, str(tmp_path)]
    publishers = [subprocess.Popen(command) for _ in range(8)]
    assert [publisher.wait() for publisher in publishers] == [0] * 8
    folder = tmp_path / "letters"
    assert sorted(map(int, names(folder))) == list(range(1, 8 * 50 + 1))
    assert all(contents(path) == {"a": b"1", "b": b"2"} for path in folder.iterdir())


def test_what_could_not_be_loaded_is_not_published(tmp_path: Path, orchard_fit: Fit) -> None:
    notes = {str(number): "x" for number in range(400_000)}
    with pytest.raises(RefusedError, match="more than 400000 values") as caught:
        export_package(orchard_fit, tmp_path, "orchard", notes=notes)
    assert caught.value.code == "too-large"
    assert names(tmp_path) == []


# A pin


def published(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["train-and-export", "--output", str(root)])
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_publishing_leaves_a_pin_as_it_is_and_the_summary_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "orchard"
    assert "pinned" not in published(tmp_path, capsys)
    (folder / "pinned").write_text("1\n")
    said = published(tmp_path, capsys)
    assert f"package  {folder / '2'}\n           pinned to version 1: `load` keeps using it" in said
    assert (folder / "pinned").read_text() == "1\n"
    assert load(folder).version == 1


def test_a_pin_of_no_version_is_told_and_the_package_is_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "orchard"
    folder.mkdir()
    (folder / "pinned").write_text("7")
    assert "pinned names version '7', which is not published" in published(tmp_path, capsys)
    assert names(folder) == ["1", "pinned"]


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 KiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=384k", "tmpfs", str(mount)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode != 0:
        pytest.skip(f"a file system can't be mounted here: {done.stderr.strip()}")
    yield mount
    # Lazily, so that it goes even where something holds a file of it open.
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


def check_refusal(status: int, out: str, err: str, reason: str) -> None:
    """Check how a command ends that finds no room."""
    assert (status, out) == (2, "")
    error, hint = err.splitlines()
    assert error.startswith("Error: cannot publish in ")
    assert error.endswith(f": {reason}")
    assert "nothing was published" in hint


def test_a_full_disk_is_one_error_and_the_earlier_version_still_predicts(small_disk: Path) -> None:
    command = ["train-and-export", "--quiet", "--output", small_disk]
    assert piped(*command)[0] == 0
    fill = small_disk / "fill"
    for blocks in (0, 1, 4):  # that are free: not even the directory, a file, a few files
        fill.unlink(missing_ok=True)
        disk = os.statvfs(small_disk)
        fill.write_bytes(b"\0" * disk.f_bsize * (disk.f_bavail - blocks))
        check_refusal(*piped(*command), "No space left on device")
        check_versions(small_disk / "orchard", 1)
    fill.unlink()
    assert piped(*command)[0] == 0
    check_versions(small_disk / "orchard", 2)


def test_a_dead_publishers_room_is_free_for_the_next(small_disk: Path) -> None:
    left = small_disk / "letters" / ".building-0123456789abcdef"
    left.mkdir(parents=True)
    (left / "a").write_bytes(b"\0" * 368_000)
    assert contents(publish(FILES, small_disk, "letters")) == FILES


def train_with_a_limit(limit: int, folder: Path) -> tuple[int, str, str]:
    """Return how the command ends in a folder whose files may not grow beyond the limit."""
    command = [sys.executable, "-c", LIMITED.format(limit=limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return done.returncode, done.stdout, done.stderr


def test_files_that_may_not_grow_are_one_error_too(tmp_path: Path) -> None:
    assert piped("train-and-export", "--output", tmp_path / "artifacts")[0] == 0
    for limit in (0, 5000):
        check_refusal(*train_with_a_limit(limit, tmp_path), "File too large")
        check_versions(tmp_path / "artifacts" / "orchard", 1)


def test_a_first_publication_on_a_full_disk_leaves_no_folder(tmp_path: Path) -> None:
    check_refusal(*train_with_a_limit(300, tmp_path), "File too large")
    assert names(tmp_path) == []
    with pytest.raises(InputError):
        load(tmp_path / "artifacts")
