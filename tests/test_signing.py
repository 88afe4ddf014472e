"""Signatures: made and checked by the OpenSSF library, over every file of a version."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import gradline
from gradline.commands.group import cli, run

KEY = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def new_key(folder: Path, name: str, *kind: str) -> tuple[Path, Path]:
    """Return the files of a new private key and its public key, made by OpenSSL."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    openssl("genpkey", *(kind or KEY), "-out", str(private))
    openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return new_key(tmp_path_factory.mktemp("keys"), "key")


@pytest.fixture
def package(orchard_package: Path, tmp_path: Path) -> Path:
    """A copy of the version that may be changed."""
    return Path(shutil.copytree(orchard_package, tmp_path / "artifacts" / "orchard" / "1"))


@pytest.fixture
def signed(package: Path, keys: tuple[Path, Path]) -> Path:
    assert gradline_command("sign", str(package), "--key", str(keys[0])) == 0
    return package


def gradline_command(*arguments: str) -> int:
    return run(list(arguments))


def refusal(package: Path, public_key: Path) -> gradline.PackageError:
    with pytest.raises(gradline.PackageError) as error:
        gradline.load(package, public_key=public_key)
    return error.value


def test_a_signed_package_loads_with_the_public_key_and_without(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    assert (signed.parent / "1.sig").is_file()
    with_key = gradline.load(signed, public_key=keys[1])
    by_name = gradline.load(signed.parent, public_key=str(keys[1]))
    without = gradline.load(signed)
    rows = [[73, 67, 43]]
    assert with_key.predict(rows) == pytest.approx(without.predict(rows), abs=0)
    assert by_name.version == 1


@pytest.mark.parametrize("curve", ["P-384", "P-521"])
def test_keys_on_larger_curves_sign_too(curve: str, package: Path, tmp_path: Path) -> None:
    kind = ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}"]
    private, public = new_key(tmp_path, curve, *kind)
    assert gradline_command("sign", str(package), "--key", str(private)) == 0
    gradline.load(package, public_key=public)


def test_the_librarys_own_command_verifies_the_signature(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    from model_signing._cli import main

    words = ["verify", "key", str(signed), "--signature", str(signed.parent / "1.sig")]
    words += ["--public_key", str(keys[1])]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output


def test_the_signature_covers_every_file_and_holds_for_a_copy_of_another_number(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    other = shutil.copytree(signed, signed.parent / "7")
    shutil.copy(signed.parent / "1.sig", signed.parent / "7.sig")
    assert gradline.load(signed.parent, public_key=keys[1]).version == 7
    for file in sorted(other.iterdir()):
        before = file.read_bytes()
        file.write_bytes(before[:-2] + b" \n")
        assert refusal(Path(other), keys[1]).code == "bad-signature", file.name
        file.write_bytes(before)
    gradline.load(other, public_key=keys[1])


def resealed(package: Path) -> None:
    """Change the model's name and reseal the manifest, as a forger without the key can."""
    from gradline.package.manifest import dump_manifest, parse_manifest

    manifest = parse_manifest((package / "manifest.json").read_bytes())
    del manifest["seal"]
    manifest["training"]["notes"] = {"author": "somebody else"}
    (package / "manifest.json").write_bytes(dump_manifest(manifest))


CHANGES: dict[str, Callable[[Path], object]] = {
    "resealed": resealed,
    "a file more": lambda package: (package / "more.bin").write_bytes(b""),
    "a hidden file more": lambda package: (package / ".gitignore").write_bytes(b""),
    "a file less": lambda package: (package / "report.html").unlink(),
    "an empty signature": lambda package: (package.parent / "1.sig").write_bytes(b""),
    "no JSON": lambda package: (package.parent / "1.sig").write_bytes(b"\xff{"),
    "no bundle": lambda package: (package.parent / "1.sig").write_bytes(b"{}"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_after_signing_is_refused(
    change: Callable[[Path], object], signed: Path, keys: tuple[Path, Path]
) -> None:
    change(signed)
    error = refusal(signed, keys[1])
    assert error.code == "bad-signature"
    assert "1.sig is invalid" in str(error)
    gradline_error = gradline_command("verify", str(signed), "--public-key", str(keys[1]))
    assert gradline_error == 1


def test_a_forged_statement_in_a_true_envelope_is_refused(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    import base64

    path = signed.parent / "1.sig"
    bundle = json.loads(path.read_bytes())
    statement = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    resealed(signed)
    import hashlib

    new = hashlib.sha256((signed / "manifest.json").read_bytes()).hexdigest()
    resources = json.loads(statement)["predicate"]["resources"]
    old = next(r["digest"] for r in resources if r["name"] == "manifest.json")
    forged = statement.replace(old.encode(), new.encode())
    assert forged != statement
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(forged).decode()
    path.write_text(json.dumps(bundle))
    assert refusal(signed, keys[1]).code == "bad-signature"


def test_another_owners_signature_is_refused(signed: Path, tmp_path: Path) -> None:
    _, stranger = new_key(tmp_path, "stranger")
    error = refusal(signed, stranger)
    assert error.code == "bad-signature"
    assert "key" in str(error).lower()


def test_signing_again_with_another_key_replaces_the_signature(
    signed: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    private, public = new_key(tmp_path, "next")
    assert gradline_command("sign", str(signed), "--key", str(private)) == 0
    gradline.load(signed, public_key=public)
    assert refusal(signed, keys[1]).code == "bad-signature"
    assert sorted(p.name for p in signed.parent.iterdir()) == ["1", "1.sig"]


def test_an_unsigned_package_is_refused_where_a_key_is_given(
    package: Path, keys: tuple[Path, Path]
) -> None:
    error = refusal(package, keys[1])
    assert error.code == "unsigned"
    assert "gradline sign" in error.hint


def test_a_bare_onnx_file_bears_no_signature(signed: Path, keys: tuple[Path, Path]) -> None:
    assert refusal(signed / "model.onnx", keys[1]).code == "unsigned"
    assert gradline_command("sign", str(signed / "model.onnx"), "--key", str(keys[0])) == 2


def test_the_model_is_not_looked_at_before_the_signature(
    package: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def untouched(*_: object) -> None:
        raise AssertionError("the graph was parsed")

    monkeypatch.setattr("gradline.package.reading.parse_graph", untouched)
    assert refusal(package, keys[1]).code == "unsigned"


def test_files_that_change_between_signature_and_use_are_noticed(
    signed: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is swapped while its signature is checked is not what was signed."""
    from gradline.package import reading as module

    true, forged = signed / "manifest.json", signed.parent / "forged.json"
    original = true.read_bytes()
    resealed(signed)
    shutil.move(true, forged)
    true.write_bytes(original)
    read = module.read_file

    def swapped(path: Path, limit: int) -> bytes:
        return read(forged if path.name == "manifest.json" else path, limit)

    monkeypatch.setattr(module, "read_file", swapped)
    error = refusal(signed, keys[1])
    assert "changed while it was checked" in str(error)


@pytest.mark.parametrize("odd", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_neither_signed_nor_waited_for(
    odd: Callable[[Path], object], signed: Path, keys: tuple[Path, Path]
) -> None:
    odd(signed / "odd")
    assert refusal(signed, keys[1]).code == "odd-file"
    assert gradline_command("sign", str(signed), "--key", str(keys[0])) == 1


def test_a_damaged_package_is_not_signed(package: Path, keys: tuple[Path, Path]) -> None:
    (package / "model.pt").write_bytes(b"")
    assert gradline_command("sign", str(package), "--key", str(keys[0])) == 1
    assert not (package.parent / "1.sig").exists()


def test_keys_that_are_none_are_named(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rsa, _ = new_key(tmp_path, "rsa", "-algorithm", "RSA")
    text = tmp_path / "text.pem"
    text.write_text("no key")
    locked = tmp_path / "locked.pem"
    openssl("pkey", "-in", str(keys[0]), "-aes256", "-passout", "pass:x", "-out", str(locked))
    for key in (rsa, text, locked, keys[1], tmp_path / "absent.pem"):
        assert gradline_command("sign", str(signed), "--key", str(key)) == 2
        shown = capsys.readouterr().err
        assert key.name in shown
        assert "Traceback" not in shown
    for key in (text, keys[0], tmp_path / "absent.pub"):
        assert gradline_command("verify", str(signed), "--public-key", str(key)) == 2


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def test_verify_tells_of_the_signature(package: Path, keys: tuple[Path, Path]) -> None:
    assert "signature  none" in invoke("verify", str(package)).output
    told = invoke("sign", str(package), "--key", str(keys[0]), "--json").output
    assert json.loads(told)["signature"] == str(package.parent / "1.sig")
    assert "not checked: --public-key" in invoke("verify", str(package)).output
    checked = invoke("verify", str(package), "--public-key", str(keys[1])).output
    assert "over every file" in checked
