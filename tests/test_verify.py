"""gradline verify runs every file that predicts, and none that a stranger wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gradline.commands.group import run
from gradline.package.manifest import dump_manifest, file_record, parse_manifest
from gradline_export import export_package
from gradline_trainer import Fit


@pytest.fixture(scope="module")
def exported(orchard_fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exported")
    return export_package(orchard_fit, root, "orchard", torch_export=True)


def verified(package: Path, capsys: pytest.CaptureFixture[str], status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["verify", str(package), "--json"]) == status
    shown = capsys.readouterr()
    found: dict[str, Any] = json.loads(shown.err if status else shown.out)
    return found


def test_torchscript_and_torch_export_predict_the_golden_rows_too(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = verified(exported, capsys)["other_hosts"]
    assert set(shares) == {"model.pt", "model.pt2"}
    assert all(0 < share <= 1 for share in shares.values())
    assert run(["verify", str(exported)]) == 0
    assert "model.pt2  predicts them too" in capsys.readouterr().out


def replaced(package: Path, to: Path, file: str, data: bytes) -> Path:
    """Return a copy of the package with another file in it, resealed."""
    copy = Path(shutil.copytree(package, to / "1"))
    manifest = parse_manifest((copy / "manifest.json").read_bytes())
    del manifest["seal"]
    manifest["files"][file] = file_record(data)
    (copy / file).write_bytes(data)
    (copy / "manifest.json").write_bytes(dump_manifest(manifest))
    return copy


@pytest.mark.parametrize("file", ["model.pt", "model.pt2"])
def test_an_archive_that_this_pytorch_did_not_write_is_not_run(
    file: str, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = replaced(exported, tmp_path, file, (exported / file).read_bytes() + b"\0")
    assert "not run" in verified(forged, capsys)["other_hosts"][file]


def test_a_pytorch_that_computes_wrongly_is_named(
    exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gradline_export.freeze.rerun.torch_hosts",
        lambda files: {"TorchScript": lambda rows: rows[:, :2] * 0},
    )
    report = verified(exported, capsys, status=1)
    assert report["error"] == "self-test"
    assert "TorchScript answers 0.0" in report["message"]
