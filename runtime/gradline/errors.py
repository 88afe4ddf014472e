"""Every error of gradline, by what the caller should do about it.

GradlineError
├── InputError         mend the table, the row or the option            exit code 2
├── OutputError        mend the place that is written to                exit code 2
├── MissingExtraError  install what the message names                   exit code 2
├── PackageError       do not trust this package                        exit code 1
└── RefusedError       it ran and the answer is no                      exit code 1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "GradlineError",
    "GradlineWarning",
    "InputError",
    "MissingExtraError",
    "OutputError",
    "PackageError",
    "RefusedError",
    "nearest",
    "nearest_column",
    "needs_extra",
]


class GradlineError(Exception):
    """The base of every error that gradline raises on purpose.

    Attributes:
        code: A stable kebab-case name of the fault, for programs.
        hint: The next thing to do, for people, in the commands' options; may be empty. A traceback
            ends with it too, in Python's.
        exit_code: What a command ends with.
    """

    exit_code = 2

    def __init__(self, message: str, *, code: str = "error", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        if hint:
            self.add_note(_in_python(hint))


class InputError(GradlineError, ValueError):
    """A table, a row or an option is not what was expected."""


class OutputError(GradlineError, OSError):
    """A result could not be written where it was asked for."""


class MissingExtraError(GradlineError, ImportError):
    """A part of gradline was called whose optional dependencies are not installed."""


class GradlineWarning(UserWarning):
    """Warn of something to know before trusting a model; not an error."""


class PackageError(GradlineError):
    """A package is incomplete, damaged, forged or from a newer gradline."""

    exit_code = 1


class RefusedError(GradlineError):
    """The job ran, and its answer is no: it diverged, or a proof did not hold."""

    exit_code = 1


EXTRAS = {
    "polars": "tables",
    "rich": "tables",
    "ray": "ray",
    "torch": "train",
    "onnx": "train",
    "jinja2": "train",
    "scipy": "train",
    "threadpoolctl": "train",
    "sklearn": "sklearn",
    "model_signing": "sign",
    "OpenSSL": "sign",
    "cryptography": "sign",
    "uvicorn": "serve",
    "msgspec": "serve",
    "prometheus_client": "serve",
    "httptools": "serve",
    "gradline_trainer": "train",
    "gradline_export": "train",
}


@contextmanager
def needs_extra() -> Iterator[None]:
    """Turn the import failure of an optional dependency into a MissingExtraError."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extra = EXTRAS.get(module)
        if extra is None:
            raise
        raise MissingExtraError(
            f"this needs the module {module!r}, which is not installed",
            code="missing-extra",
            hint=f'pip install "gradline[{extra}]"',
        ) from error


OPTION = (
    r"--([a-z][a-z-]*)"
    r"(?: (\d\S*\b|'[^']*'|[A-Z]+\b|(?:auto|cpu|fast|standardize|whiten|drop|float64|zero)\b))?"
)
KEYWORDS = {
    "target": "targets",
    "feature": "features",
    "output": "root",
    "expect_name": "name",
}


def _in_python(hint: str) -> str:
    """Return a hint with `--one-hot 'name'` as `one_hot='name'`, as `fit` and others take it."""
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
    """Suggest the known name closest to `name`, or list some; return the sentence.

    Args:
        name: The unknown name.
        known: The known names.
        taken: Names in use, never suggested; the sentence is "" if no other is left.
    """
    from difflib import get_close_matches

    given = set(taken)
    names = [other for other in known if other not in given]
    if not names:
        return ""
    same = next((other for other in names if _looks_alike(name, other)), None)
    if same is not None:
        return (
            f"the same letters as {same!a}, spelt otherwise in Unicode: {name!a}; write "
            "both in its composed form (NFC)"
        )
    # Of a name without end the beginning is compared, since that takes time.
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
    """Return what `nearest` does, or how to name several columns, which are no list."""
    names = set(known)
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and names.issuperset(parts):
        return (
            f"{' and '.join(map(repr, parts))} are columns of their own: name them one by one, "
            "repeating the option"
        )
    return nearest(name, known, taken) or "leave it out"
