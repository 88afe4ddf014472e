"""Tables in object stores (s3://, gs://, az://), listed and read by Polars.

Polars takes credentials, region and endpoint from the environment variables and files of each
store's own tools. Only the first contact differs from Polars' defaults: it fails within seconds if
the store can't be reached.
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
from gradline.tables.lazy_polars import check_polars, pl

STORES = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and AWS_ENDPOINT_URL for a "
    "store that is not Amazon's",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
FIRST_CONTACT: dict[str, str | int] = {
    "max_retries": 2,
    "retry_timeout_ms": 3000,
    "connect_timeout": "2s",
    "timeout": "10s",
}
# Parts of the messages of a store without credentials and without a cloud machine to give them.
NO_CREDENTIALS = (
    "api/token|etadata|token request|redential|must be specified|Missing (Access|Secret)"
)
WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class ObjectFile:
    """A file in an object store, with the members of a Path that readers of tables need."""

    url: str  # such as s3://bucket/folder/part.parquet

    def __str__(self) -> str:
        return self.url

    @property
    def path(self) -> PurePosixPath:
        """The URL as a path, to take apart."""
        return PurePosixPath(self.url)

    @property
    def name(self) -> str:
        """The part after the last slash."""
        return self.path.name

    @property
    def suffix(self) -> str:
        """The last extension, with its dot."""
        return self.path.suffix

    @property
    def suffixes(self) -> list[str]:
        """All extensions, with their dots."""
        return self.path.suffixes

    @property
    def store(self) -> str:
        """The kind of store: s3, gs or az."""
        return self.url.partition("://")[0]


def is_remote(data: object) -> bool:
    """Check whether `data` is an address in an object store."""
    return isinstance(data, str) and data.partition("://")[0] in STORES and "://" in data


def is_glob(url: str) -> bool:
    """Check whether an address has wildcards."""
    return WILD.search(url) is not None


def list_objects(url: str) -> list[ObjectFile]:
    """List the files of a glob or a folder, in sorted order; see `table_files`."""
    with needs_extra():
        # Polars has no public way to list. obstore has one, but it does not read ~/.aws, so
        # that it would list with other credentials than those that Polars then reads with.
        from polars.exceptions import PolarsError
        from polars.io._expand_paths import _expand_paths
    check_polars()
    pattern = url if is_glob(url) else f"{url.rstrip('/')}/**/*"
    try:
        with reachable(url):
            listed = _expand_paths(pattern, storage_options=dict(FIRST_CONTACT)).collect()
    except PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{url} cannot be listed: {reason}", code="unreadable-data") from error
    paths = (path for path in listed.to_series().to_list() if not path.endswith("/"))
    return [ObjectFile(path) for path in sorted(paths, key=PurePosixPath)]


@contextmanager
def reachable(url: object) -> Iterator[None]:
    """Convert an object store's errors to an InputError that names the address."""
    address = str(url)
    if not is_remote(address):
        yield
        return
    _temporary_folder()
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        if refusal := _refusal(address, str(error), isinstance(error, FileNotFoundError)):
            raise refusal from error
        raise


@cache
def _temporary_folder() -> TemporaryDirectory[str] | None:
    """Make a temporary folder for Polars, which panics without a user name or a home."""
    if any(os.environ.get(name) for name in ("POLARS_TEMP_DIR", "USER", "HOME")):
        return None
    folder = TemporaryDirectory(prefix="gradline-")  # removed when the process ends
    os.environ["POLARS_TEMP_DIR"] = folder.name
    return folder


def _refusal(url: str, reason: str, missing: bool) -> InputError | None:
    """Build the error for a store's refusal; return None if the fault is in the file itself."""
    store, _, rest = url.partition("://")
    bucket = f"{store}://{rest.partition('/')[0]}"
    answer = re.sub(r": <\?xml.*| \(path: .*\)$", "", reason.partition("\n")[0])
    hint = f"credentials and endpoint come from {STORES[store]}"
    if "NoSuchBucket" in reason or "ContainerNotFound" in reason:
        return InputError(f"there is no {bucket}", code="no-data", hint=hint)
    if missing or "404 Not Found" in reason:
        hint = "check the name; a folder named as a file ends in /"
        return InputError(f"there is no {url}", code="no-data", hint=hint)
    if re.search(NO_CREDENTIALS, reason):
        return InputError(f"no credentials for {bucket}", code="no-credentials", hint=hint)
    if re.search("40[13] |AccessDenied|Unauthenticated", reason):
        return InputError(f"access to {url} is denied: {answer}", code="no-access", hint=hint)
    if "object-store error" in reason or "CloudLocation" in reason:
        return InputError(f"{url} cannot be read: {answer}", code="unreadable-data", hint=hint)
    return None
