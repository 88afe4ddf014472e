"""What a server is told: by the command's options, and through the environment to its workers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradline.errors import InputError

if TYPE_CHECKING:
    from gradline.serve.application import Limits

__all__ = ["LOOPBACK", "Settings"]

VARIABLE = "GRADLINE_SERVE"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Settings:
    """What is served, and to whom.

    Attributes:
        paths: Packages, versions, ONNX files, or folders of packages.
        public_key: A PEM file; where given, only what its owner signed is served.
        token_file: Holds the token that requests bear.
        hosts: Names that the Host header may have; None for any.
        body: Bytes that a request's body may have.
        access_log: Whether each request is a line of JSON on stderr.
        name: The name that the package must have; by default its folder's name.
    """

    paths: tuple[Path, ...]
    public_key: Path | None = None
    token_file: Path | None = None
    hosts: tuple[str, ...] | None = LOOPBACK
    body: int = 16 << 20
    access_log: bool = False
    name: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings in GRADLINE_SERVE: paths as of PATH, or what `to_environment` wrote.

        Raises:
            InputError: Where it is not set.
        """
        text = environment.get(VARIABLE, "")
        if not text:
            raise InputError(
                f"{VARIABLE} is not set",
                code="no-package",
                hint=f"{VARIABLE}=artifacts, or packages joined by {os.pathsep!r}",
            )
        if not text.startswith("{"):
            return cls(tuple(map(Path, text.split(os.pathsep))), hosts=None)
        found = json.loads(text)
        for name in ("public_key", "token_file"):
            found[name] = found[name] and Path(found[name])
        hosts = found.pop("hosts")
        return cls(tuple(map(Path, found.pop("paths"))), hosts=hosts and tuple(hosts), **found)

    def to_environment(self) -> dict[str, str]:
        """Return the variable by which a worker's process has the same settings."""
        return {
            VARIABLE: json.dumps(
                {
                    "paths": [str(path) for path in self.paths],
                    "public_key": self.public_key and str(self.public_key),
                    "token_file": self.token_file and str(self.token_file),
                    "hosts": self.hosts,
                    "body": self.body,
                    "access_log": self.access_log,
                    "name": self.name,
                }
            )
        }

    def limits(self) -> Limits:
        """Return what the application holds its clients to.

        Raises:
            InputError: Where the token can't be read, or is too short to be one.
        """
        from gradline.serve.application import Limits

        hosts = None if self.hosts is None else frozenset(map(str.lower, self.hosts))
        return Limits(self.body, self._token(), hosts, self.access_log)

    def _token(self) -> bytes | None:
        if self.token_file is None:
            return None
        try:
            token = self.token_file.read_bytes().strip()
        except OSError as error:
            raise InputError(
                f"the token file {self.token_file} cannot be read: {error.strerror}",
                code="bad-token",
            ) from error
        if len(token) < 16 or not token.isascii() or len(token.split()) != 1:
            raise InputError(
                f"the token in {self.token_file} is not one word of 16 or more characters",
                code="bad-token",
                hint="openssl rand -hex 32 makes one",
            )
        return token
