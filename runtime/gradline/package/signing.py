"""Sign packages and check signatures, in the OpenSSF model-signing format.

The signature of artifacts/<name>/<version> is artifacts/<name>/<version>.sig: a Sigstore bundle
with an in-toto statement (https://github.com/ossf/model-signing-spec) that lists the SHA-256 of
every file of the version, the manifest included. The `model-signing` library makes and checks it
with elliptic-curve keys, without a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gradline.errors import InputError, PackageError, needs_extra
from gradline.package.files import Package, read_file

SIGNATURE_LIMIT = 1 << 20


def signature_path(version: Path) -> Path:
    """Build the path of a version directory's signature."""
    whole = version.resolve()
    return whole.with_name(f"{whole.name}.sig")


def sign(package: Package, key: str | Path) -> Path:
    """Sign a checked package, replacing an older signature; return the signature's path."""
    from gradline.atomic import write_whole

    if package.path.is_file():
        raise InputError(
            f"{package.path} is a bare ONNX file; only packages can be signed",
            code="no-package",
            hint="give artifacts/NAME/VERSION",
        )
    _refuse_odd_files(package.path)
    with needs_extra():
        from model_signing.signing import Config
    with _reading_key(key):
        signer = Config().use_elliptic_key_signer(private_key=Path(key))
    with TemporaryDirectory() as folder:
        made = Path(folder) / "signature"
        signer.set_hashing_config(_every_file()).sign(package.path, made)
        data = made.read_bytes()
    path = signature_path(package.path)
    write_whole(path, lambda file: file.write(data))
    return path


def check_signature(version: Path, manifest: bytes, public_key: str | Path) -> None:
    """Check that a version, with these bytes as its manifest, was signed with a key.

    The manifest holds the hash of every other file. So code that continues with these bytes uses
    what was signed, even if files change in the meantime.
    """
    path = signature_path(version)
    if not path.exists():
        raise PackageError(
            f"{version} is not signed: there is no {path.name} beside it",
            code="unsigned",
            hint="ask its publisher to run: gradline sign PACKAGE --key KEY.pem",
        )
    data = read_file(path, SIGNATURE_LIMIT)
    _refuse_odd_files(version)
    with needs_extra():
        from model_signing.verifying import Config
    with _reading_key(public_key):
        verifier = Config().use_elliptic_key_verifier(public_key=Path(public_key))
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "signature"  # the same bytes that are read below
        copy.write_bytes(data)
        try:
            verifier.set_hashing_config(_every_file()).verify(version, copy)
            signed = _signed_manifest(data)
        except Exception as error:  # damaged bytes can raise anything in the library
            raise _bad(path, str(error).strip() or "it was made with another key") from error
    if signed != hashlib.sha256(manifest).hexdigest():
        raise _bad(path, "manifest.json changed while it was checked")


def _every_file() -> Any:
    from model_signing.hashing import Config

    return Config().set_ignored_paths(paths=[], ignore_git_paths=False)


def _signed_manifest(signature: bytes) -> str:
    statement = json.loads(base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))
    resources = statement["predicate"]["resources"]
    found: str = next(r["digest"] for r in resources if r["name"] == "manifest.json")
    return found


def _refuse_odd_files(version: Path) -> None:
    """Refuse anything but regular files: hashing a pipe would never end."""
    with os.scandir(version) as entries:
        odd = [entry.name for entry in entries if not entry.is_file(follow_symlinks=False)]
    if odd:
        raise PackageError(
            f"{odd[0]} in {version} is not a file", code="odd-file", hint="remove it"
        )


@contextmanager
def _reading_key(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the key {path} cannot be read: {error.strerror}", code="bad-key"
        ) from error
    except Exception as error:  # each kind of wrong key raises its own exception
        raise InputError(
            f"{path} cannot be used as the key: {str(error).strip() or type(error).__name__}",
            code="bad-key",
            hint="expected an unencrypted PEM file of a key on P-256, P-384 or P-521: openssl "
            "ecparam -name prime256v1 -genkey -noout -out key.pem; openssl ec -in key.pem -pubout "
            "-out key.pub",
        ) from error


def _bad(path: Path, reason: str) -> PackageError:
    return PackageError(f"the signature {path.name} is invalid: {reason}", code="bad-signature")
