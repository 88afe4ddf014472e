"""Tables in object stores (s3://, gs://, az://), listed and read by Polars.

Polars takes credentials, region and endpoint from the usual environment variables and files of each
store's own tools; nothing here adds to them but patience: the first contact fails within seconds
where a store can't be reached, all later ones try as often as Polars does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from tempfile import TemporaryDirectory

from gradline.errors import InputError, needs_extra
from gradline.tables.forks import check_polars
from gradline.tables.partitions import is_walked

__all__ = ["FIRST", "ObjectFile", "is_glob", "is_remote", "list_objects", "reachable"]

STORES = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, for a store of another maker "
    "AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
FIRST: dict[str, str | int] = {
    "max_retries": 2,
    "retry_timeout_ms": 3000,
    "connect_timeout": "2s",
    "timeout": "10s",
}
# What is said where there are no credentials, and none of a cloud's own machines to ask for some.
NOBODY = "api/token|etadata|token request|redential|must be specified|Missing (Access|Secret)"
WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class ObjectFile:
    """A file in an object store, as much of a path as readers of tables need.

    Attributes:
        url: Such as s3://bucket/folder/part.parquet.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def path(self) -> PurePosixPath:
        """What can be taken apart as a path."""
        return PurePosixPath(self.url)

    @property
    def name(self) -> str:
        """The part behind the last slash."""
        return self.path.name

    @property
    def suffix(self) -> str:
        """The last extension, with its dot."""
        return self.path.suffix

    @property
    def suffixes(self) -> list[str]:
        """All of them."""
        return self.path.suffixes

    @property
    def store(self) -> str:
        """Which kind of store: s3, gs or az."""
        return self.url.partition("://")[0]


def is_remote(data: object) -> bool:
    """Return whether `data` is the address of something in an object store."""
    return isinstance(data, str) and data.partition("://")[0] in STORES and "://" in data


def is_glob(url: str) -> bool:
    """Return whether an address has wildcards."""
    return WILD.search(url) is not None


def list_objects(url: str) -> list[ObjectFile]:
    """Return what a glob or a folder holds, in sorted order: see `table_files`.

    Raises:
        InputError: Where the store does not answer, or says that there is no such bucket.
    """
    with needs_extra():
        # The reader's own way to list; Polars has no public one that reads no file.
        from polars.exceptions import PolarsError
        from polars.io._expand_paths import _expand_paths
    check_polars()
    folder = "" if is_glob(url) else url.rstrip("/") + "/"
    try:
        with reachable(url):
            listed = _expand_paths(f"{folder}**/*" if folder else url, storage_options=dict(FIRST))
            found: list[str] = listed.collect().to_series().to_list()
    except PolarsError as error:
        raise InputError(
            f"{url} cannot be listed: {str(error).partition(chr(10))[0]}", code="unreadable-data"
        ) from error
    found = [path for path in found if not path.endswith("/")]
    if folder:
        found = [path for path in found if is_walked(PurePosixPath(path[len(folder) :]))]
    return [ObjectFile(path) for path in sorted(found, key=PurePosixPath)]


@contextmanager
def reachable(url: object) -> Iterator[None]:
    """Turn what an object store answers into an InputError that names the address."""
    import polars as pl

    if is_remote(str(url)):
        _temporary_folder()
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        if not is_remote(str(url)):
            raise
        refusal = _refusal(str(url), str(error), isinstance(error, FileNotFoundError))
        if refusal is None:
            raise
        raise refusal from error


@cache
def _temporary_folder() -> TemporaryDirectory[str] | None:
    """Make a temporary folder for Polars, which panics without a user name or a home."""
    if any(os.environ.get(name) for name in ("POLARS_TEMP_DIR", "USER", "HOME")):
        return None
    folder = TemporaryDirectory(prefix="gradline-")  # removed when the process ends
    os.environ["POLARS_TEMP_DIR"] = folder.name
    return folder


def _refusal(url: str, reason: str, missing: bool) -> InputError | None:
    """Return the error for an answer of a store; None for what is wrong with the file itself."""
    store, _, rest = url.partition("://")
    bucket = f"{store}://{rest.partition('/')[0]}"
    said = re.sub(r": <\?xml.*| \(path: .*\)$", "", reason.partition("\n")[0])
    hint = f"credentials and endpoint come from {STORES[store]}"
    if "NoSuchBucket" in reason or "ContainerNotFound" in reason:
        return InputError(f"there is no {bucket}", code="no-data", hint=hint)
    if missing or "404 Not Found" in reason:
        return InputError(
            f"there is no {url}",
            code="no-data",
            hint="check the name; a folder named as a file ends in /",
        )
    if re.search(NOBODY, reason):
        return InputError(f"no credentials for {bucket}", code="no-credentials", hint=hint)
    if re.search("40[13] |AccessDenied|Unauthenticated", reason):
        return InputError(f"access to {url} is denied: {said}", code="no-access", hint=hint)
    if "object-store error" in reason or "CloudLocation" in reason:
        return InputError(f"{url} cannot be read: {said}", code="unreadable-data", hint=hint)
    return None
