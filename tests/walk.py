"""Follow a page of documentation as a reader would: run each block in its language.

All blocks of a page run in one folder, from the first to the last. Files, a running server and
Python's names stay from block to block.

    sh          every command succeeds
    console     each `$ command` prints the lines below it, and fails if they have an Error:
    python      runs; a text block directly after it shows its output
    javascript  the same in Node.js
    html        the same in Chromium: the text shows its <output>
    json        parses; `json of FILE` is a part of the file

`python with mlflow` runs in an environment with that library: see ENVIRONMENTS. `make` and `pip
install` are compared with the Makefile and pyproject.toml, because they take minutes and a network.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from browser import Page
from gradline.cli import main
from hosts import CONSTRAINED, ROOT, need, npm, virtual_environment
from pages import CONTINUED, Block, blocks, commands, is_as_shown
from serving import Server, serving

__all__ = ["DECLARED", "SYNTAX_ALONE", "Walk", "is_slow"]

ENVIRONMENTS = {  # packages for `python with NAME`
    "mlflow": [
        "mlflow-skinny==3.17.2", "sqlalchemy", "alembic", "onnx", "onnxruntime", "pandas",
        *CONSTRAINED,
    ],
    "tritonclient": ["tritonclient[http]==2.73.0"],
}  # fmt: skip
DECLARED = ("make", "pip")  # commands that take minutes and a network: only checked
MODULES = {  # the examples whose lock files name these packages
    "onnxruntime-node": "node",
    "onnxruntime-web": "web",
}
SYNTAX_ALONE = {  # languages that the tests only parse, and their grammars
    "java": "tree-sitter-java==0.23.5",
    "csharp": "tree-sitter-c-sharp==0.23.5",
    "rust": "tree-sitter-rust==0.24.2",
    "swift": "tree-sitter-swift==0.7.4",
}
SHELL = re.compile(r"[|<>;&$]")  # a line with these needs a shell
ADDRESS = re.compile(r"(?<=localhost:)8080|(?<=127\.0\.0\.1:)8080")
INTERPRETER = """
import contextlib, io, json, sys
namespace = {}
for line in sys.stdin:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(json.loads(line), namespace)
    print(json.dumps(printed.getvalue()), flush=True)
"""
PARSER = """
import importlib, sys, tree_sitter
grammar = importlib.import_module("tree_sitter_" + sys.argv[1])
parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
sys.exit(parser.parse(sys.stdin.buffer.read()).root_node.has_error)
"""


def is_slow(page: Path) -> bool:
    """Tell if a page needs other environments or many processes."""
    found = blocks(page)
    apart = any(b.more.startswith("with ") or b.language in SYNTAX_ALONE for b in found)
    apart |= any("--engine ray" in b.text for b in found)
    return apart or sum(b.text.count("\nhttp://127") for b in found) > 1


@dataclass
class Walk:
    """A reader who follows one page in the working folder. End it with `close`.

    Attributes:
        names: Python's names, kept from block to block.
        printed: Output of the last block; None if there is nothing to compare.
        server: The running server.
    """

    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    printed: str | None = None
    server: Server | None = None
    served: ExitStack = field(default_factory=ExitStack)
    interpreters: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    surroundings: dict[str, str] = field(default_factory=os.environ.copy)

    def close(self) -> None:
        """Stop what was started, and restore the environment."""
        os.environ.clear()
        os.environ.update(self.surroundings)
        self.served.close()
        for process in self.interpreters.values():
            process.communicate()

    def follow(self, block: Block) -> None:
        """Run a block, and fail if it does not do what the page says."""
        runner = getattr(self, f"_run_{block.language}", None)
        if block.language in SYNTAX_ALONE:
            runner = self._parse
        assert runner, f"{block}: nothing here runs {block.language!r}: see tests/walk.py"
        printed = runner(block)
        self.printed = printed

    def _run_sh(self, block: Block) -> None:
        for line in filter(str.strip, CONTINUED.sub("", block.text).splitlines()):
            status, said = self._call(line)
            assert status == 0, f"{block}: {line}\n{said}"

    def _run_console(self, block: Block) -> None:
        for line, shown in commands(block.text):
            if line.startswith("gradline serve ") and shown.startswith("http"):
                said = self._serve(shlex.split(line)[2:])
            else:
                status, said = self._call(line)
                fails = re.search("^Error: ", shown, re.MULTILINE) is not None
                assert (status != 0) == fails, f"{block}: {line} ended with {status}\n{said}"
            assert is_as_shown(shown, said), f"{block}: {line} printed\n{said}"

    def _run_python(self, block: Block) -> str:
        code = self._located(block.text)
        if block.more:
            return self._python_with(block.more.removeprefix("with "), code, block)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(block), "exec"), self.names)  # noqa: S102 - the page's own
        return printed.getvalue()

    def _run_javascript(self, block: Block) -> str:
        script = Path(f"block{block.line}.mjs")
        script.write_text(self._located(block.text))
        _link_modules(block)
        done = _outcome(need("node"), str(script))
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout

    def _run_html(self, block: Block) -> str:
        page = Path(f"block{block.line}.html")
        page.write_text(block.text)
        _link_modules(block)
        with _site() as address, Page(need("chromium"), Path("profile").absolute()) as browser:
            browser.open(f"{address}/{page}")
            said = browser.wait_for("document.querySelector('output')?.textContent")
        return str(said)

    def _run_text(self, block: Block) -> None:
        assert block.follows, f"{block}: what prints this text?"
        assert self.printed is not None, f"{block}: what prints this text?"
        assert is_as_shown(block.text, self.printed), f"{block}: what came is\n{self.printed}"

    def _run_json(self, block: Block) -> None:
        value = json.loads(block.text)
        if block.more:
            whole = json.loads(Path(block.more.removeprefix("of ")).read_text())
            assert _is_part(value, whole), f"{block} is not in {block.more}"

    def _parse(self, block: Block) -> None:
        """Parse the code with its language's grammar; the tests cannot compile or run it."""
        grammar = SYNTAX_ALONE[block.language]
        python = virtual_environment("syntax", "tree-sitter==0.26.1", *SYNTAX_ALONE.values())
        module = grammar.partition("==")[0].removeprefix("tree-sitter-").replace("-", "_")
        done = _outcome(str(python / "python"), "-c", PARSER, module, text=block.text)
        assert done.returncode == 0, f"{block} is not {block.language}\n{done.stdout}"

    def _call(self, line: str) -> tuple[int, str]:
        """Run a command; return its exit status, and its stdout and stderr."""
        line = self._located(line)
        words = shlex.split(line, comments=True)
        if words[0] in DECLARED:
            _check_declared(words)
            return 0, ""
        if words[0] not in ("gradline", "train-and-export") or SHELL.search(line):
            done = _outcome("bash", "-c", line)
            return done.returncode, done.stdout
        if "ray" in words:
            done = _outcome(*words)  # Ray emits warnings in its process
            return done.returncode, done.stdout
        # In this process: another one would import PyTorch again.
        name = words.pop(0)
        printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            pytest.raises(SystemExit) as stop,
        ):
            main(words, prog_name=name)
        assert isinstance(printed.buffer, io.BytesIO)
        return int(stop.value.code or 0), printed.buffer.getvalue().decode()

    def _serve(self, words: list[str]) -> str:
        """Serve on a free port, shown as 8080 from then on; return the first line."""
        self.served.close()
        self.server = self.served.enter_context(serving(*words))
        return self.server.address.replace(f":{self.server.port}", ":8080")

    def _located(self, text: str) -> str:
        return text if self.server is None else ADDRESS.sub(str(self.server.port), text)

    def _python_with(self, name: str, code: str, block: Block) -> str:
        """Run code in an interpreter with a further library."""
        if name not in self.interpreters:
            python = virtual_environment(name, *ENVIRONMENTS[name]) / "python"
            self.interpreters[name] = subprocess.Popen(
                [python, "-c", INTERPRETER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        process = self.interpreters[name]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(code) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, f"{block}\n{process.communicate()[1]}"
        printed: str = json.loads(answer)
        return printed


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def _site() -> Iterator[str]:
    """Serve the working folder; yield its address."""
    handler = functools.partial(_Quiet, directory=str(Path.cwd()))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _link_modules(block: Block) -> None:
    """Link the packages of an example's lock file, if a block names one."""
    modules = Path("node_modules")
    modules.unlink(missing_ok=True)
    if block.more:
        example = MODULES[block.more.removeprefix("with ")]
        modules.symlink_to(npm(example) / "node_modules")


def _outcome(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command, with this Python's own commands on its path."""
    return subprocess.run(
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )


def _check_declared(words: list[str]) -> None:
    """Check that the target or the packages of a line exist, without making or installing them."""
    if words[0] == "make":
        recipes = (ROOT / "Makefile").read_text()
        assert all(f"\n{target}:" in recipes for target in words[1:]), words
        return
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {pin for pins in ENVIRONMENTS.values() for pin in pins}
    assert words[1] == "install"
    for word in words[2:]:
        if found := re.fullmatch(r"(?:gradline|\.)(?:\[([\w,]+)\])?", word):
            extras = found[1].split(",") if found[1] else []
            assert set(extras) <= set(project["optional-dependencies"]), word
        else:
            there = word in ("-c", "-e") or word in pins or (ROOT / word).is_file()
            assert there, f"unknown: {word!r}"


def _is_part(value: Any, whole: Any) -> bool:
    """Tell if a JSON value equals another, except for members that its objects leave out."""
    if isinstance(value, dict) and isinstance(whole, dict):
        return all(key in whole and _is_part(part, whole[key]) for key, part in value.items())
    return bool(value == whole)
