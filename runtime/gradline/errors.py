"""All errors that gradline raises, grouped by what the caller should do.

GradlineError
├── InputError         correct the table, the row or the option          exit code 2
├── OutputError        choose a place that can be written                exit code 2
├── MissingExtraError  install the extra that the message names          exit code 2
├── PackageError       do not trust this package                         exit code 1
└── RefusedError       the job ran, and its answer is no                 exit code 1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class GradlineError(Exception):
    """The base of every error that gradline raises on purpose.

    Attributes:
        code: A stable name for programs, in kebab-case, such as "unknown-feature".
        hint: The next step, for people, with options as on the command line; may be empty. A
            traceback ends with the same hint, with options as Python arguments.
        exit_code: The exit code of a command that fails with this error.
    """

    exit_code = 2

    def __init__(self, message: str, *, code: str = "error", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        if hint:
            self.add_note(_in_python(hint))


class InputError(GradlineError, ValueError):
    """A table, a row or an option is wrong."""


class OutputError(GradlineError, OSError):
    """A result cannot be written to the requested place."""


class MissingExtraError(GradlineError, ImportError):
    """An optional dependency is not installed."""


class GradlineWarning(UserWarning):
    """Something to know before you trust a model; not an error."""


GET_AGAIN = "get the package again from where it was published"


class PackageError(GradlineError):
    """A package is incomplete, damaged, forged or from a newer gradline."""

    exit_code = 1

    def __init__(self, message: str, *, code: str = "error", hint: str = GET_AGAIN) -> None:
        super().__init__(message, code=code, hint=hint)


class RefusedError(GradlineError):
    """The job ran and its answer is no: training diverged, or a check failed."""

    exit_code = 1


OURS = ["gradline_trainer", "gradline_export"]  # missing if only the runtime was copied
EXTRAS = {  # the modules that each extra brings
    "tables": ["polars", "rich"],
    "ray": ["ray"],
    "train": ["torch", "onnx", "jinja2", "scipy", "threadpoolctl", *OURS],
    "sklearn": ["sklearn"],
    "sign": ["model_signing", "OpenSSL", "cryptography"],
    "serve": ["uvicorn", "msgspec", "prometheus_client", "httptools"],
}


@contextmanager
def needs_extra() -> Iterator[None]:
    """Turn the failed import of an optional dependency into a MissingExtraError."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
        if extra is None:
            raise
        raise MissingExtraError(
            f"this needs the module {module!r}, which is not installed",
            code="missing-extra",
            hint=f'in the folder of gradline\'s sources: pip install ".[{extra}]"',
        ) from error


OPTION = (
    r"--([a-z][a-z-]*)"
    r"(?: (\d\S*\b|'[^']*'|[A-Z]+\b|(?:auto|cpu|fast|standardize|whiten|drop|float64|zero)\b))?"
)
KEYWORDS = {"target": "targets", "feature": "features", "output": "root", "expect_name": "name"}


def _in_python(hint: str) -> str:
    """Write the options in a hint as Python arguments: `--one-hot 'a'` as `one_hot='a'`."""
    if hint.startswith(("pip ", "gradline ")):  # a line for the shell
        return hint

    def keyword(option: re.Match[str]) -> str:
        name, value = option[1].replace("-", "_"), option[2]
        name = KEYWORDS.get(name, name)
        if value is None:
            return name
        is_word = value.isalnum() and value.islower() and not value.isdigit()
        return f"{name}={value!r}" if is_word else f"{name}={value}"

    return re.sub(OPTION, keyword, hint)


def nearest(name: str, known: Iterable[str], taken: Iterable[str] = ()) -> str:
    """Write a hint about an unknown name: the closest known name, or a list of some."""
    from difflib import get_close_matches

    given = set(taken)
    names = [other for other in known if other not in given]
    if not names:
        return ""
    same = next((other for other in names if _looks_alike(name, other)), None)
    if same is not None:
        return (
            f"{same!a} has the same letters, but Unicode spells them differently: {name!a}; "
            "write both in composed form (NFC)"
        )
    # Only the start of a very long name is compared: the comparison is slow.
    close = get_close_matches(name[:1000], names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    listed = ", ".join(map(repr, names[:8])) + (", …" if len(names) > 8 else "")
    return f"known names: {listed}"


def _looks_alike(name: str, other: str) -> bool:
    """Check whether two texts differ only in how Unicode spells the same letters."""
    from unicodedata import normalize

    if name.isascii() and other.isascii():
        return False
    return normalize("NFC", name[:1000]) == normalize("NFC", other[:1000]) and name != other


def nearest_column(name: str, known: Iterable[str], taken: Iterable[str] = ()) -> str:
    """Write a hint about an unknown column, which may be several names in one option."""
    names = set(known)
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and names.issuperset(parts):
        listed = " and ".join(map(repr, parts))
        return f"{listed} are separate columns: repeat the option for each name"
    return nearest(name, known, taken) or "leave it out"
