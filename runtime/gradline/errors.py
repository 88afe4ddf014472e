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
        command_hint: The next step, for people, with options as on the command line; may be empty.
        exit_code: The exit code of a command that fails with this error.
    """

    exit_code = 2

    def __init__(self, message: str, *, code: str = "error", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.command_hint = hint
        if hint:
            self.add_note(self.hint)  # the last line of a traceback

    @property
    def hint(self) -> str:
        """The next step, for people, with options as Python's arguments; may be empty."""
        return in_python(self.command_hint)


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


WORDS = (
    "auto|none|standardize|whiten|moments|rows|fast|exact|drop|mean|error|missing|zero|cpu|cuda"
    "|float32|float64|minimum-norm|HC[0-3]|ray|local"
)
QUOTED = r"""'[^']*'(?:"'"'[^']*')*|"[^"]*\""""
#: An option in a hint, and its value: a number, a quoted text, a word in capitals or in WORDS.
OPTION = re.compile(
    rf"(?:train-and-export )?(?<![\w'\"-])(?<!ray start )--([a-z][a-z0-9-]*)"
    rf"(?: (\d\S*\b|{QUOTED}|(?:{WORDS})\b|[A-Z]+\b|(?<=--name )[\w.-]+))?"
)
TERM = rf"-f ((?:{QUOTED}|[^\s'\"])+)"
TERMS = re.compile(rf"(?<![\w'\"-])(?<!iconv ){TERM}(?: {TERM})*")  # repeated options are one list
#: Options with another name in Python, and options without a value on the command line.
KEYWORDS = {
    "target": "targets",
    "feature": "features",
    "output": "root",
    "expect_name": "name",
    "robust_kind": "robust",
}
FLAGS = {
    "intervals": "intervals=True",
    "strict": "strict=True",
    "decimal_comma": "decimal_comma=True",
    "no_bias": "bias=False",
}
LEFT_OUT = re.compile(r"(?:leave|without|one of|and) $")  # behind these words a flag is only named


def in_quotes(text: str) -> str:
    """Quote an option's value in a hint for the shell, always: so `in_python` finds its end."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def in_python(hint: str) -> str:
    """Write the options in a hint as Python's arguments: `--one-hot 'a'` as `one_hot='a'`."""
    if ("--" not in hint and "-f " not in hint) or hint.startswith("pip "):  # a line for the shell
        return hint
    before, shell, line = hint.partition("gradline sign ")  # which Python does not have
    return TERMS.sub(_features, OPTION.sub(_keyword, before)) + shell + line


def _features(options: re.Match[str]) -> str:
    import shlex

    terms = [term for term in shlex.split(options[0]) if term != "-f"]
    return f"features={terms if len(terms) > 1 else terms[0]!r}"


def _keyword(option: re.Match[str]) -> str:
    name, value = option[1].replace("-", "_"), option[2]
    name = KEYWORDS.get(name, name)
    if value is None:
        is_name = LEFT_OUT.search(option.string[: option.start()])
        return name if is_name else FLAGS.get(name, name)
    if value[0] in "'\"":
        import shlex

        return f"{name}={shlex.split(value)[0]!r}"
    is_text = re.fullmatch(WORDS, value) or (name == "name" and not value.isupper())
    return f"{name}={value!r}" if is_text else f"{name}={value}"


def nearest(
    name: str, known: Iterable[str], taken: Iterable[str] = (), *, only_close: bool = False
) -> str:
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
    close = get_close_matches(name[:1000], names, n=1, cutoff=0.6 if only_close else 0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    if only_close:
        return ""
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
