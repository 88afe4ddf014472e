"""What is written is on the disk before its name is; "nothing was published" is said when true."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradline.atomic import write_named, write_whole
from gradline.commands.group import run
from gradline.errors import OutputError
from gradline.package.versions import LAST_VERSION, locate, published_versions
from gradline_export.publish.publishing import publish

FILES = {"model.onnx": b"model", "manifest.json": b"{}"}
FLUSHED = ("fsync", ".unfinished")
ODD = ["01", "0", "\u0661", "²", "1" * 19 + "0", str(LAST_VERSION + 1), "+1"]
Calls = list[tuple[str, str]]


def shown(path: Any) -> str:
    """Return a file's name, one for all those that are not whole yet."""
    name = Path(path).name
    return ".unfinished" if name.startswith(".") else name


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What is flushed and renamed, in order: what is flushed, and the new name."""
    seen: Calls = []
    fsync = os.fsync

    def flushed(descriptor: int) -> None:
        seen.append(("fsync", shown(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def noting(act: Callable[..., None]) -> Callable[..., None]:
        def noted(source: Any, target: Any, **options: Any) -> None:
            seen.append(("rename", shown(target)))
            act(source, target, **options)

        return noted

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "rename", noting(os.rename))
    monkeypatch.setattr(os, "replace", noting(os.replace))
    return seen


@pytest.mark.parametrize("write", [write_whole, write_named])
def test_a_file_is_flushed_then_named_and_then_its_folder_flushed(
    write: Callable[..., None], tmp_path: Path, calls: Calls
) -> None:
    write(tmp_path / "out.csv", lambda file: file.write(b"1"))
    assert calls == [FLUSHED, ("rename", "out.csv"), ("fsync", tmp_path.name)]


def test_a_pin_and_its_removal_are_flushed(
    orchard_package: Path, tmp_path: Path, calls: Calls
) -> None:
    folder = tmp_path / "orchard"
    shutil.copytree(orchard_package, folder / "1")
    assert run(["pin", str(folder), "1"]) == 0
    assert calls == [FLUSHED, ("rename", "pinned"), ("fsync", "orchard")]
    calls.clear()
    assert run(["unpin", str(folder)]) == 0
    assert calls == [("fsync", "orchard")]


def test_predictions_are_flushed(orchard_package: Path, tmp_path: Path, calls: Calls) -> None:
    table = tmp_path / "t.csv"
    table.write_text("temperature,rainfall,humidity\n70,80,50\n")
    out = tmp_path / "out.csv"
    assert run(["predict", str(orchard_package), str(table), "-o", str(out)]) == 0
    assert calls == [FLUSHED, ("rename", "out.csv"), ("fsync", tmp_path.name)]


def test_a_new_package_is_flushed_from_its_files_up_to_the_folder_that_was_there(
    tmp_path: Path, calls: Calls
) -> None:
    publish(FILES, tmp_path / "artifacts", "orchard")
    assert calls == [
        ("fsync", "model.onnx"),
        ("fsync", "manifest.json"),
        FLUSHED,
        ("rename", "1"),
        ("fsync", "orchard"),
        ("fsync", "artifacts"),
        ("fsync", tmp_path.name),
    ]


def test_where_no_folder_can_be_flushed_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise PermissionError(13, "Permission denied")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    write_whole(tmp_path / "out", lambda file: file.write(b"1"))
    assert (tmp_path / "out").read_bytes() == b"1"
    assert publish(FILES, tmp_path, "orchard") == tmp_path / "orchard" / "1"


def test_bytes_that_do_not_reach_the_disk_leave_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_bytes(b"older")

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="Input/output error"):
        write_whole(tmp_path / "out", lambda file: file.write(b"newer"))
    assert (tmp_path / "out").read_bytes() == b"older"
    with pytest.raises(OutputError) as caught:
        publish(FILES, tmp_path, "orchard")
    assert caught.value.hint.startswith("nothing was published")
    assert os.listdir(tmp_path) == ["out"]


def test_a_rename_that_was_done_though_it_is_told_to_have_failed_is_a_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def lying(source: Any, target: Any, **options: Any) -> None:
        rename(source, target, **options)
        raise OSError(110, "Connection timed out")

    monkeypatch.setattr(os, "rename", lying)
    assert publish(FILES, tmp_path, "orchard") == tmp_path / "orchard" / "1"
    assert publish(FILES, tmp_path, "orchard") == tmp_path / "orchard" / "2"
    assert published_versions(tmp_path / "orchard") == [1, 2]


def test_a_close_that_fails_after_the_rename_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def failing(descriptor: int) -> None:
        is_folder = os.path.isdir(f"/proc/self/fd/{descriptor}")
        close(descriptor)
        if is_folder:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "close", failing)
    assert publish(FILES, tmp_path, "orchard") == tmp_path / "orchard" / "1"


# What is a version's number, and what is not


def test_a_version_of_eighteen_nines_is_followed_by_the_next_number(tmp_path: Path) -> None:
    folder = tmp_path / "orchard"
    (folder / "999999999999999999").mkdir(parents=True)
    made = publish(FILES, tmp_path, "orchard")
    assert made == folder / "1000000000000000000"
    assert locate(folder).path == made
    assert publish(FILES, tmp_path, "orchard").name == "1000000000000000001"


def test_behind_the_last_number_nothing_is_published_and_the_folder_is_named(
    tmp_path: Path,
) -> None:
    last = tmp_path / "orchard" / str(LAST_VERSION)
    last.mkdir(parents=True)
    with pytest.raises(OutputError) as caught:
        publish(FILES, tmp_path, "orchard")
    assert str(caught.value) == (
        f"cannot publish in {last.parent}: {LAST_VERSION} is the last number that a version can "
        "have"
    )
    assert caught.value.hint == f"nothing was published; rename the folder {last}"
    assert os.listdir(last.parent) == [last.name]


@pytest.mark.parametrize("name", ODD)
def test_a_folder_that_is_no_number_of_64_bits_is_no_version(name: str, tmp_path: Path) -> None:
    (tmp_path / "orchard" / name).mkdir(parents=True)
    assert published_versions(tmp_path / "orchard") == []
    assert publish(FILES, tmp_path, "orchard").name == "1"


@pytest.mark.parametrize("target", ["nowhere", "a file"])
def test_a_link_or_a_file_in_a_numbers_place_is_left_and_the_next_one_taken(
    target: str, tmp_path: Path
) -> None:
    publish(FILES, tmp_path, "orchard")
    folder = tmp_path / "orchard"
    (folder / "a file").touch()
    (folder / "2").symlink_to(target)
    (folder / "3").touch()
    assert publish(FILES, tmp_path, "orchard") == folder / "4"
    assert os.readlink(folder / "2") == target
    assert locate(folder).version == 4
