"""Every error code, raised once: programs rely on them, and each stands for one fault for good.

A new code needs a row here: the least call that raises it.
"""

from __future__ import annotations

import ast
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

import gradline
import gradline_export
import gradline_trainer
from gradline import GradlineError
from gradline.columns.formula import parse_feature, parse_target
from gradline.columns.kinds import NULLS, Column
from gradline.columns.parsing import values_of
from gradline.columns.records import columns_of
from gradline.commands.group import run
from gradline.package.manifest import dump_manifest, parse_manifest
from gradline_export.elsewhere.pipelines import fold
from gradline_export.freeze.formats import to_torchscript
from gradline_trainer import fit, load_moments, save_moments
from gradline_trainer.rows.surveyed import Surveyed
from gradline_trainer.terms.expansion import chosen_terms

ROOTS = [Path(p) for m in (gradline, gradline_trainer, gradline_export) for p in m.__path__]
export_package = partial(gradline_export.export_package, report=False)
TABLE = {"x": [1.0, 2.0, 4.0, 5.0], "y": [1.0, 3.0, 2.0, 5.0]}
COLUMNS = ["temperature", "rainfall", "humidity", "sunshine"]
LETTERS = [f"level {k % 109}" for k in range(240)]
MODEL = SimpleNamespace(coef_=[1.0], intercept_=0.0)
TOWN = {**TABLE, "town": ["a", "b", "a", "b"]}


@dataclass
class World:
    """What a call needs: a folder, and a package in it that may be changed."""

    tmp_path: Path
    source: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def package(self) -> Path:
        place = self.tmp_path / "artifacts" / "orchard" / "1"
        return place if place.exists() else Path(shutil.copytree(self.source, place))

    def file(self, name: str, text: str | bytes) -> Path:
        path = self.tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def manifest(self, change: Callable[[dict[str, Any]], object]) -> Path:
        """The package with its manifest changed and sealed again."""
        path = self.package / "manifest.json"
        document = parse_manifest(path.read_bytes())
        del document["seal"]
        change(document)
        path.write_bytes(dump_manifest(document))
        return self.package

    def reseal(self, name: str, data: bytes) -> Path:
        """The package with one of its files replaced, and the hashes made to agree."""
        from gradline.package.manifest import file_record

        (self.package / name).write_bytes(data)
        return self.manifest(lambda m: m["files"].update({name: file_record(data)}))

    def command(self, *words: object) -> None:
        """A command; its error is raised again."""
        found: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gradline.commands.group.fail", lambda *told: found.append(told[3]))
            with suppress(SystemExit):
                run(list(map(str, words)))
        assert found, "the command ended without an error"
        raise GradlineError("told", code=found[0])

    def predict(self, table: str, *words: object) -> None:
        self.command("predict", self.package, self.file("new.csv", table), *words)

    def serve(self, *words: object) -> None:
        self.command("serve", self.package, "--port", "0", *words)


Call = Callable[[World], object]
CALLS: dict[str, Call] = {}


def raises(code: str) -> Callable[[Call], Call]:
    def put(call: Call) -> Call:
        assert code not in CALLS
        CALLS[code] = call
        return call

    return put


def moments(**options: Any) -> Any:
    """The moments of a small table."""
    return fit(TABLE, "y", keep_moments=True, **options).gathered


def text_moments(w: World) -> Any:
    """The moments of a small table, from a file."""
    save_moments(moments(), w.tmp_path / "t.moments")
    return load_moments(w.tmp_path / "t.moments")


def expand(*texts: str) -> object:
    """The terms that texts mean for a table with the number x."""
    surveyed = {"x": Surveyed(Column("x"), "number", 0, 4)}
    return chosen_terms([parse_feature(text, ["x"]) for text in texts], surveyed, [], full=False)


# Tables and columns

CALLS |= {
    "bad-option": lambda w: fit(TABLE, "y", epochs=-1),
    "bad-target": lambda w: parse_target("sqrt(y)", list(TABLE)),
    "bad-term": lambda w: parse_feature("log(x", list(TABLE)),
    "bad-weight": lambda w: fit({**TABLE, "w": [1.0, -1, 1, 1]}, "y", sample_weight="w"),
    "constant-category": lambda w: fit({**TABLE, "t": ["a"] * 4}, "y", one_hot="t"),
    "constant-features": lambda w: export_package(fit({**TABLE, "x": [1.0] * 4}, "y"), w.tmp_path),
    "constant-target": lambda w: fit({**TABLE, "y": [1.0] * 4}, "y"),
    "duplicate-column": lambda w: fit(w.file("t.csv", "x,x,y\n1,2,3\n2,3,5\n"), "y"),
    "duplicate-feature": lambda w: gradline.load(w.package).predict(Twice()),
    "empty-file": lambda w: fit(w.file("t.csv", ""), "y"),
    "infinite-value": lambda w: fit({**TABLE, "x": [1.0, np.inf, 3, 4]}, "y"),
    "large-integer": lambda w: fit(w.file("t.csv", f"x,y\n{2**53 + 1},1\n2,2\n"), "y"),
    "masked-array": lambda w: fit((np.ma.array([[1.0], [2.0]]), [1.0, 2.0])),
    "missing-feature": lambda w: gradline.load(w.package).predict({"rainfall": [1.0]}),
    "missing-value": lambda w: fit({**TABLE, "x": [1.0, None, 3, 4]}, "y", strict=True),
    "mixed-schemas": lambda w: [
        w.file("t1.csv", "x,y\n1,2\n3,4\n"),
        w.file("t2.csv", "z,y\n1,2\n3,4\n"),
        fit(str(w.tmp_path / "t*.csv"), "y", "x"),
    ],
    "name-clash": lambda w: fit({**TOWN, "town=a": [1.0, 2, 3, 4]}, "y", one_hot="town"),
    "no-data": lambda w: fit(w.tmp_path / "absent.csv", "y"),
    "no-feature": lambda w: fit({"y": [1.0, 2, 3]}, "y"),
    "no-header": lambda w: fit(w.file("t.csv", "\nx,y\n1,2\n"), "y"),
    "no-target": lambda w: fit(TABLE),
    "not-a-category": lambda w: fit({**TABLE, "t": [1.5, 2.5, 1.5, 2]}, "y", one_hot="t"),
    "not-a-time": lambda w: values_of(Column("c", "time", null=NULLS), ["9 March"]),
    "not-a-record": lambda w: columns_of([{"x": 1}, 3], ["x"]),
    "not-a-feature": lambda w: fit(TOWN, "y", "x", one_hot="town"),
    "not-numeric": lambda w: fit(TOWN, "town"),
    "out-of-range": lambda w: fit({**TABLE, "x": [1e200, 2.0, 3, 4]}, "y"),
    "outside-domain": lambda w: fit({**TABLE, "y": [0.0, 1, 2, 3]}, "log(y)"),
    "pipeline-steps": lambda w: fold([("step", object())], MODEL, ["x"]),
    "ragged": lambda w: fit(w.file("t.csv", "x,y\n1,2\n3,4,5\n"), "y"),
    "repeated-column": lambda w: fit(TABLE, ["y", "y"]),
    "different-index": lambda w: fit(
        pd.DataFrame({"x": [1.0, 2, 4]}), pd.Series([1.0, 3, 2], index=[2, 1, 0])
    ),
    "sparse-matrix": lambda w: gradline.load(w.package).predict(csr_array([[1.0, 2, 3]])),
    "too-few-rows": lambda w: fit({"x": [1.0], "y": [1.0]}, "y"),
    "too-many-categories": lambda w: fit(
        {**TABLE, "t": ["a", "b", "c", "d"]}, "y", one_hot="t", max_categories=3
    ),
    "unknown-category": lambda w: gradline.load(
        export_package(fit(TOWN, "y", one_hot="town"), w.tmp_path)
    ).predict({"x": [1.0], "town": ["c"]}),
    "unknown-column": lambda w: fit(TABLE, "z"),
    "unknown-feature": lambda w: gradline.load(w.package).predict(
        {name: [1.0] for name in COLUMNS}
    ),
    "unknown-format": lambda w: fit(w.file("t.txt", "x,y\n1,2\n"), "y"),
    "two-kinds": lambda w: expand("x", "category(x)"),
    "unknown-level": lambda w: expand("x is missing"),
    "unknown-table": lambda w: fit(7, "y"),
    "unreadable-data": lambda w: fit(w.file("t.parquet", b"PAR1 no more"), "y"),
    "wrong-encoding": lambda w: fit(w.file("t.csv", b"x,y\n\xff\xfe,2\n3,4\n"), "y"),
    "wrong-kind": lambda w: expand("month(x)"),
    "wrong-separator": lambda w: fit(w.file("t.csv", "x;y\n1;2\n"), "y"),
    "wrong-shape": lambda w: gradline.load(w.package).predict([[1.0, 2.0]]),
    "unknown-model": lambda w: export_package(object(), w.tmp_path),
    "not-fitted": lambda w: export_package(Ridge(), w.tmp_path),
}


class Twice:
    """A frame that has a column twice."""

    columns = ("temperature", "temperature", "rainfall", "humidity")

    def __getitem__(self, name: str) -> list[float]:
        return [1.0]


@raises("file-exists")
def _(w: World) -> None:
    from gradline_export.demo import write_table

    write_table(w.file("cafes.csv", "x,y\n1,2\n"))


@raises("forked")
def _(w: World) -> None:
    from gradline.tables import lazy_polars

    w.monkeypatch.setattr(lazy_polars, "_lost", True)
    fit(TABLE, "y")


@raises("changed-data")
def _(w: World) -> None:
    from gradline.tables import open_files

    table = open_files(w.file("t.csv", "x,y\n1,2\n3,4\n"))
    w.file("t.csv", "x,y\n1,2\n3,4\n5,6\n")
    table.parts[0].check_unchanged()


@raises("no-access")
def _(w: World) -> None:
    from gradline.tables.objects import reachable

    with reachable("s3://bucket/t.csv"):
        raise OSError("403 Forbidden")


@raises("no-credentials")
def _(w: World) -> None:
    from gradline.tables import objects

    w.monkeypatch.setattr(objects, "NO_CREDENTIALS", "nobody")
    with objects.reachable("s3://bucket/t.csv"):
        raise OSError("nobody is known")


# Training

CALLS |= {
    "no-scale": lambda w: fit(
        {"x": [1.0, 1, 1, 1, -1], "y": [1e-304, 2e-304, 3e-304, 1e-304, 2e-304]},
        "log(y)",
        bias=False,
    ),
    "diverged": lambda w: fit(TABLE, "y", preconditioning="none", learning_rate=1e3),
    "no-torchscript": lambda w: [
        w.monkeypatch.setattr(torch.jit, "script", lambda module: module),
        to_torchscript(np.ones((1, 1)), np.ones(1)),
    ],
    "no-cuda": lambda w: [
        w.monkeypatch.setattr(torch.cuda, "is_available", lambda: False),
        fit(TABLE, "y", device="cuda"),
    ],
    "no-statistics": lambda w: fit(TABLE, "y", preconditioning="none", epochs=1).summary(),
    "not-exact": lambda w: fit({**TABLE, "x": [1e-150, 1e150, 3, 4]}, "y", arithmetic="exact"),
    "unknown-option": lambda w: fit(TABLE, "y", epoch=3),
    "unknown-target": lambda w: fit(TABLE, "y").summary().covariance("z"),
}


@raises("no-scratch-space")
def _(w: World) -> None:
    from gradline_trainer.rows.rows import Rows
    from gradline_trainer.wide.scratch import Scratch

    class Full:
        def write(self, data: object) -> None:
            raise OSError(28, "No space left on device")

    with Scratch(10) as scratch:
        scratch.file.close()
        scratch.file = Full()  # type: ignore[assignment]
        scratch.file.close = lambda: None  # type: ignore[method-assign]
        scratch.append((0, 0, Rows((np.ones((2, 2)),), 1, None)))


# Saved moments

CALLS |= {
    "bad-moments": lambda w: load_moments(w.file("m", sealed(b"gradline moments 1\n{}\n"))),
    "broken-seal": lambda w: load_moments(w.file("m", b"gradline moments 1\n{}\n" + b"\0" * 32)),
    "needs-rows": lambda w: fit(moments(), holdout=0.5),
    "newer-format": lambda w: load_moments(w.file("m", b"gradline moments 3\n{}\n")),
    "no-folds": lambda w: fit(moments(), ridge="auto"),
    "no-moments": lambda w: save_moments(fit(TABLE, "y"), w.tmp_path / "m"),
    "no-part": lambda w: subtract(moments(), {"x": [9.0, 10, 12], "y": [1.0, 2, 4]}),
    "lost-digits": lambda w: subtract(None, {"x": [0.0, 1e9, 2e9, 4e9], "y": [1.0, 2e9, 3e9, 1e9]}),
    "not-moments": lambda w: load_moments(w.file("m", "x,y\n1,2\n")),
    "too-many-terms": lambda w: fit(
        {"a": LETTERS, "b": LETTERS[::-1], "y": range(240)},
        "y",
        ["a", "b", "a:b"],
        keep_moments=True,
    ),
    "same-rows": lambda w: merge(text_moments(w), text_moments(w)),
}


def sealed(data: bytes) -> bytes:
    import hashlib

    return data + hashlib.sha256(data).digest()


def merge(*saved: Any) -> Any:
    from gradline_trainer.saved.algebra import merge_moments

    return merge_moments(saved)


def subtract(whole: Any, table: dict[str, list[float]]) -> Any:
    """Subtract a table's moments, by default from those of both tables."""
    from gradline_trainer.saved.algebra import subtract_moments

    part = fit(table, "y", keep_moments=True).gathered
    return subtract_moments(whole or merge(moments(), part), part)


# Packages

CALLS |= {
    "bad-golden": lambda w: gradline.load(w.reseal("golden.json", b"{}")),
    "bad-manifest": lambda w: gradline.load(w.manifest(lambda m: m.pop("files"))),
    "bad-name": lambda w: export_package(fit(TABLE, "y"), w.tmp_path, "a b"),
    "changed-file": lambda w: [
        (w.package / "model.onnx").write_bytes(b""),
        gradline.load(w.package),
    ],
    "contradiction": lambda w: gradline.load(w.manifest(lambda m: m.update(name="other"))),
    "float32-refused": lambda w: export_package(
        fit({"x": [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3], "y": [0.0, 1, 2, 3.5]}, "y", dtype="float32"),
        w.tmp_path,
    ),
    "missing-file": lambda w: [
        (w.package / "golden.json").unlink(),
        gradline.load(w.package),
    ],
    "no-intervals": lambda w: export_package(
        fit(TABLE, "y", ridge=1.0), w.tmp_path, intervals=True
    ),
    "no-package": lambda w: gradline.load(w.tmp_path / "absent"),
    "no-record": lambda w: gradline.load(w.package / "model.onnx").explain([[1.0, 2, 3]]),
    "not-json": lambda w: [
        (w.package / "manifest.json").write_bytes(b"{"),
        gradline.load(w.package),
    ],
    "not-the-graph": lambda w: gradline.load(w.reseal("model.onnx", b"no graph")),
    "other-name": lambda w: gradline.load(w.package, name="fruit"),
    "unreadable-file": lambda w: [
        w.monkeypatch.setattr(Path, "open", denied),
        gradline.load(w.package),
    ],
}


def denied(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


@raises("no-parity")
def _(w: World) -> None:
    from gradline_export.freeze.parity import check_parity

    one = np.ones((1, 1), np.float32)
    check_parity({"Abacus": lambda rows: rows * 2}, one, one, np.zeros(1, np.float32))


@raises("self-test")
def _(w: World) -> None:
    from gradline.package.reading import read_package

    read = read_package(w.package)
    assert read.golden is not None
    read.golden.check(lambda rows: np.zeros((len(rows), 2)), read.graph)


@raises("too-large")
def _(w: World) -> None:
    w.monkeypatch.setattr("gradline.package.strict_json.VALUES", 10)
    w.monkeypatch.setattr("gradline.package.manifest.parse_json.__defaults__", (10,))
    export_package(fit(TABLE, "y"), w.tmp_path)


@raises("not-finite")
def _(w: World) -> None:
    learned = fit(TABLE, "y", dtype="float64", arithmetic="fast")
    export_package(replace(learned, weights=torch.full((1, 1), torch.inf)), w.tmp_path)


@raises("bad-pin")
def _(w: World) -> None:
    (w.package.parent / "pinned").write_text("7")
    gradline.load(w.package.parent)


# Signatures


def key(w: World) -> Path:
    """A new private key."""
    from test_signing import new_key

    return new_key(w.tmp_path, "key")[0]


CALLS |= {
    "bad-key": lambda w: w.command("sign", w.package, "--key", w.file("key.pem", "no key")),
    "unsigned": lambda w: gradline.load(w.package, public_key="key.pub"),
    "bad-signature": lambda w: [
        key(w),
        w.package.with_name("1.sig").write_bytes(b""),
        gradline.load(w.package, public_key=w.tmp_path / "key.pub"),
    ],
    "odd-file": lambda w: [
        (w.package / "odd").mkdir(),
        w.command("sign", w.package, "--key", key(w)),
    ],
}

# Predicting

ROW = "temperature,rainfall,humidity,region\n73,67,43,Kanto\n"
CALLS |= {
    "bad-type": lambda w: w.command(
        "predict", w.package, nested(w), "-o", w.tmp_path / "out.csv", "--keep", "list"
    ),
    "cannot-write": lambda w: w.predict(ROW, "-o", w.tmp_path / "absent" / "out.csv"),
    "same-file": lambda w: w.predict(ROW, "-o", w.tmp_path / "new.csv"),
    "same-name": lambda w: w.predict(
        "temperature,rainfall,humidity,outside\n73,67,43,1\n", "--keep", "outside", "--check"
    ),
}


def nested(w: World) -> Path:
    path = w.tmp_path / "t.parquet"
    columns = {"temperature": [1.0], "rainfall": [1.0], "humidity": [1.0], "list": [[1, 2]]}
    pl.DataFrame(columns).write_parquet(path)
    return path


@raises("foreign-files")
def _(w: World) -> None:
    from gradline.scoring.folder import _claim

    w.file("other.txt", "")
    _claim(w.tmp_path, {"files": {}})


@raises("busy-folder")
def _(w: World) -> None:
    from gradline.scoring.folder import _alone_in

    with _alone_in(w.tmp_path), _alone_in(w.tmp_path):
        pass


# diff

CALLS |= {
    "large-change": lambda w: diff(w, "--max-change", "0"),
    "no-bound": lambda w: diff(w, "--max-change", "0", bare="model.onnx"),
    "other-targets": lambda w: w.command(
        "diff", w.package, export_package(fit(TABLE, "y"), w.tmp_path, "other")
    ),
}


def diff(w: World, *words: str, bare: str = "") -> None:
    """The command, of two versions that differ in their slopes."""
    tables = (TABLE, {**TABLE, "y": TABLE["x"]})
    paths = [export_package(fit(table, "y"), w.tmp_path, "m") for table in tables]
    w.command("diff", *(path / bare for path in paths), *words)


# evaluate

CALLS |= {
    "missing-target": lambda w: w.command("evaluate", w.package, w.file("t.csv", WEATHER)),
    "large-error": lambda w: w.command(
        "evaluate", w.package, w.file("t.csv", LABELLED), "--max-rmse", "1"
    ),
}
WEATHER = "temperature,rainfall,humidity\n73,67,43\n"
LABELLED = "temperature,rainfall,humidity,apples,oranges\n73,67,43,0,0\n"


# Serving

CALLS |= {
    "bad-certificate": lambda w: w.serve(
        "--certificate", w.file("c.pem", ""), "--certificate-key", w.file("k.pem", "")
    ),
    "bad-token": lambda w: w.serve("--token-file", w.file("token", "short")),
    "insecure": lambda w: w.serve("--host", "0.0.0.0"),  # noqa: S104 - refused
}


@raises("cannot-listen")
def _(w: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        w.serve("--port", taken.getsockname()[1])


@raises("no-worker")
def _(w: World) -> None:
    from gradline.serve.supervisor import NOT_STARTED, Worker, Workers

    dead = Worker.__new__(Worker)
    dead.process = SimpleNamespace(exitcode=NOT_STARTED)  # type: ignore[assignment]
    for name in ("is_alive", "kill", "join"):
        w.monkeypatch.setattr(Worker, name, lambda self: False)
    supervisor = Workers.__new__(Workers)
    supervisor.__dict__.update(
        should_exit=SimpleNamespace(is_set=lambda: False),
        _repository=SimpleNamespace(refresh=lambda: None),
        processes=[dead],
        _wait=1.0,
    )
    supervisor.keep_subprocess_alive()


# A Ray cluster

CALLS |= {
    "no-cluster": lambda w: on_ray("_check_reachable", "127.0.0.1:1", "hint"),
    "version-mismatch": lambda w: on_ray("_check_versions", {"Python": "2.7"}),
    "workers-lack-gradline": lambda w: lost(w, "RayTaskError"),
    "workers-lost": lambda w: lost(w, "WorkerCrashedError"),
}


def on_ray(name: str, *arguments: Any) -> Any:
    from gradline.scoring import ray_cluster as module

    if name == "_check_versions":
        module._versions.cache_clear()
        arguments = ({**module._versions(), **arguments[0]},)
    return getattr(module, name)(*arguments)


def lost(w: World, kind: str) -> None:
    import ray
    import ray.exceptions

    def get(_: object) -> None:
        if kind == "RayTaskError":
            raise ray.exceptions.RayTaskError("f", "ModuleNotFoundError: gradline", ValueError())
        raise ray.exceptions.WorkerCrashedError

    w.monkeypatch.setattr(ray, "get", get)
    on_ray("_result", None)


# The program itself

CALLS |= {
    "missing-extra": lambda w: [
        w.monkeypatch.setitem(sys.modules, "polars", None),
        w.predict("temperature,rainfall,humidity\n73,67,43\n"),
    ],
    "os-error": lambda w: [
        w.monkeypatch.setattr("gradline.commands.list.command.callback", denied_file),
        w.command("list", w.tmp_path),
    ],
    "usage": lambda w: w.command("frobnicate"),
    "terminated": lambda w: [
        w.monkeypatch.setattr("gradline.commands.list.command.callback", ended),
        w.command("list", w.tmp_path),
    ],
}


def denied_file(**_: object) -> None:
    raise PermissionError(13, "Permission denied", "file")


def ended(**_: object) -> None:
    raise SystemExit(143)


@raises("interrupted")
def _(w: World) -> None:
    from gradline.cli import main

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    found: list[str] = []
    w.monkeypatch.setattr("gradline.terminal.output.fail", lambda *told: found.append(told[3]))
    w.monkeypatch.setattr("gradline.commands.list.command.callback", interrupt)
    with pytest.raises(SystemExit) as stopped:
        main(["list", str(w.tmp_path)])
    assert stopped.value.code == 130
    raise GradlineError("told", code=found[0])


# The tests


@pytest.fixture
def world(tmp_path: Path, orchard_package: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, orchard_package, monkeypatch)


@pytest.mark.parametrize("code", sorted(CALLS))
def test_the_least_call_that_raises_it(code: str, world: World) -> None:
    with pytest.raises(GradlineError) as caught:
        CALLS[code](world)
    assert caught.value.code == code, str(caught.value)


def texts_in(node: ast.AST) -> set[str]:
    """Return the constants that look like codes."""
    return {
        n.value
        for n in ast.walk(node)
        if isinstance(n, ast.Constant)
        and isinstance(n.value, str)
        and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", n.value)
    }


def codes_in(tree: ast.Module) -> Iterator[str]:
    """Yield the codes that a module gives errors, be they chosen among several or named before."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    for function in functions:
        for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == "fail":
                yield from texts_in(call.args[-1])
            for keyword in call.keywords:
                if keyword.arg == "code" and isinstance(keyword.value, ast.Name):
                    yield from (text for text in texts_in(function) if "-" in text)
                elif keyword.arg == "code":
                    yield from texts_in(keyword.value)


@cache
def modules() -> list[tuple[Path, ast.Module]]:
    paths = [path for root in ROOTS for path in sorted(root.rglob("*.py"))]
    return [(path, ast.parse(path.read_text())) for path in paths]


def test_every_code_in_the_source_has_its_call() -> None:
    found = {code for _, tree in modules() for code in codes_in(tree)}
    assert len(found) > 90
    assert sorted(found - CALLS.keys()) == [], "add the least call that raises it to CALLS"
    assert sorted(CALLS.keys() - found) == [], "no error has this code any more"


def test_every_error_is_given_a_code() -> None:
    names = {"GradlineError", "UnknownCategoryError"} | {
        error.__name__ for error in GradlineError.__subclasses__()
    }
    assert len(names) == 7
    without = [
        f"{path.name}:{call.lineno}"
        for path, tree in modules()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in names
        and "code" not in {keyword.arg for keyword in call.keywords}
    ]
    assert without == []
