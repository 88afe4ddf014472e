"""A package is served and loaded as what it is: the name inside, and the name of its folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import gradline
from gradline.commands.group import run
from gradline.serve.metrics import ServerMetrics
from gradline.serve.repository import Repository
from gradline_export import export_package
from gradline_trainer import fit

TABLE = {"temperature": [1.0, 2, 4, 5], "y": [1.0, 3, 2, 5]}


@pytest.fixture
def artifacts(orchard_package: Path, tmp_path: Path) -> Path:
    """Two packages, orchard and fruit, of one version each."""
    root = tmp_path / "artifacts"
    shutil.copytree(orchard_package, root / "orchard" / "1")
    export_package(fit(TABLE, "y"), root, "fruit", report=False)
    return root


def refusal(path: Path, name: str | None = None) -> gradline.PackageError:
    with pytest.raises(gradline.PackageError) as error:
        gradline.load(path, name=name)
    return error.value


def test_a_version_of_another_package_in_a_folder_is_not_what_the_folder_is_called(
    artifacts: Path,
) -> None:
    shutil.copytree(artifacts / "fruit" / "1", artifacts / "orchard" / "2")
    error = refusal(artifacts / "orchard")
    assert error.code == "other-name"
    assert error.exit_code == 1
    assert "holds the package 'fruit', expected 'orchard'" in str(error)
    assert str(artifacts / "orchard" / "2") in error.hint
    gradline.load(artifacts / "orchard" / "2")  # the hint's second half, followed
    (artifacts / "fruit").rename(artifacts / "gone")
    (artifacts / "orchard").rename(artifacts / "fruit")  # the first
    assert gradline.load(artifacts / "fruit").name == "fruit"


def test_a_version_itself_loads_under_any_path(artifacts: Path, tmp_path: Path) -> None:
    for place in (tmp_path / "mount", tmp_path / "models" / "1", tmp_path / "orchard"):
        shutil.copytree(artifacts / "fruit" / "1", place)
        assert gradline.load(place).name == "fruit"
    assert refusal(tmp_path / "models").code == "other-name"  # looked up, not named


@pytest.mark.parametrize("path", ["fruit", "fruit/1", "fruit/1/model.onnx"])
def test_a_name_can_be_asked_for_anywhere(path: str, artifacts: Path) -> None:
    assert gradline.load(artifacts / path, name="fruit").name == "fruit"
    error = refusal(artifacts / path, "orchard")
    assert error.code == "other-name"
    assert "--expect-name 'fruit'" in error.command_hint
    assert error.__notes__ == ["name='fruit', if that is the one you want"]


def test_an_asked_name_counts_for_more_than_the_folders(artifacts: Path) -> None:
    (artifacts / "fruit").rename(artifacts / "mounted")
    assert refusal(artifacts / "mounted").code == "other-name"
    assert gradline.load(artifacts / "mounted", name="fruit").version == 1


def test_a_link_counts_as_what_it_is_called(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(artifacts / "orchard")
    (artifacts / "orchard").symlink_to("fruit")
    assert refusal(artifacts / "orchard").code == "other-name"
    (artifacts / "store").mkdir()
    (artifacts / "fruit").rename(artifacts / "store" / "abc123")
    (artifacts / "fruit").symlink_to("store/abc123")
    assert gradline.load(artifacts / "fruit").name == "fruit"
    (artifacts / "store" / "abc123").rename(artifacts / "store" / "fruit")
    monkeypatch.chdir(artifacts / "store" / "fruit")
    assert gradline.load(".").name == "fruit"
    assert gradline.load("../fruit/").name == "fruit"


@pytest.mark.parametrize("command", ["predict", "verify", "inspect", "pin"])
def test_commands_ask_for_a_name_else_for_the_folders(
    command: str, artifacts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("temperature\n3\n")
    (artifacts / "fruit").rename(artifacts / "mounted")
    words = [command, str(artifacts / "mounted")]
    words += {"predict": [str(rows)], "pin": ["1"]}.get(command, [])
    for asked in ([], ["--expect-name", "orchard"]):
        assert run([*words, *asked, "--json"]) == 1
        assert json.loads(capsys.readouterr().err)["error"] == "other-name"
    assert run([*words, "--expect-name", "fruit"]) == 0


def test_the_servers_command_hands_the_name_on(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradline.serve import server

    served: list[Any] = []
    monkeypatch.setattr(server, "serve", lambda *arguments: served.append(arguments))
    assert run(["serve", str(artifacts), "--expect-name", "fruit"]) == 0
    ((paths, *_, name),) = served
    assert name == "fruit"
    with pytest.raises(gradline.PackageError, match="expected 'fruit'"):  # the orchard beside it
        Repository(paths, ServerMetrics(), name=name)


@pytest.mark.parametrize("command", ["diff", "sign"])
def test_commands_without_the_option_look_by_the_folders_name(
    command: str, artifacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (artifacts / "fruit").rename(artifacts / "mounted")
    path = str(artifacts / "mounted")
    words = [path, path] if command == "diff" else [path, "--key", "absent.pem"]
    assert run([command, *words]) == 1
    assert "holds the package 'fruit', expected 'mounted'" in capsys.readouterr().err


def test_list_shows_a_version_of_another_package(
    artifacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(artifacts / "fruit" / "1", artifacts / "orchard" / "2")
    assert run(["list", str(artifacts)]) == 0
    assert "damaged: it belongs to the package 'fruit'" in capsys.readouterr().out


def test_a_server_goes_on_with_the_version_that_is_of_the_package(artifacts: Path) -> None:
    served = Repository([artifacts], ServerMetrics())
    shutil.copytree(artifacts / "fruit" / "1", artifacts / "orchard" / "2")
    served.refresh()
    assert served.models["orchard"].current.version == "1"
    assert served.find("orchard", "2") is None
    assert served.versions("orchard") == ["1"]
    fresh = Repository([artifacts], ServerMetrics())  # and one that starts now
    assert fresh.models["orchard"].current.model.targets == ["apples", "oranges"]
    assert fresh.find("orchard", "2") is None


def test_a_server_serves_the_name_that_it_is_asked_for(artifacts: Path) -> None:
    (artifacts / "fruit").rename(artifacts / "mounted")
    with pytest.raises(gradline.PackageError, match="expected 'mounted'"):
        Repository([artifacts / "mounted"], ServerMetrics())
    served = Repository([artifacts / "mounted"], ServerMetrics(), name="fruit")
    assert list(served.models) == ["fruit"]
    for place in ("mounted", "mounted/1"):
        with pytest.raises(gradline.PackageError, match="holds the package 'fruit'"):
            Repository([artifacts / place], ServerMetrics(), name="orchard")


def test_a_signed_version_in_another_packages_folder_is_refused(
    artifacts: Path, tmp_path: Path
) -> None:
    from test_signing import new_key

    private, public = new_key(tmp_path, "key")
    for name in ("orchard", "fruit"):
        assert run(["sign", str(artifacts / name), "--key", str(private)]) == 0
    for file in ("1", "1.sig"):
        copy = shutil.copytree if file == "1" else shutil.copy
        copy(artifacts / "fruit" / file, artifacts / "orchard" / file.replace("1", "2"))
    with pytest.raises(gradline.PackageError) as error:
        gradline.load(artifacts / "orchard", public_key=public)
    assert error.value.code == "other-name"
    served = Repository([artifacts], ServerMetrics(), public)
    assert served.models["orchard"].current.version == "1"
