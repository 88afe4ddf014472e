"""What the three wings ask of the system: nothing that only POSIX has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

#: Takes away what Windows has not, does what it does otherwise, and runs the rest after that.
WITHOUT_POSIX = """
import os, sys

for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "geteuid", "getuid", "getgid", "getegid", "fchmod", "O_DIRECTORY",
             "O_NOFOLLOW", "sched_getaffinity", "sysconf", "statvfs", "killpg", "mkfifo"):
    delattr(os, name)
opened, renamed = os.open, os.rename

def open_file(path, *arguments, **options):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return opened(path, *arguments, **options)

def rename(source, target):
    if os.path.lexists(target):
        raise FileExistsError(17, "File exists", str(target))
    renamed(source, target)

os.open, os.rename = open_file, rename
"""

IMPORT_ALL = """
import importlib, pkgutil

found = []
for wing in ("gradline", "gradline_trainer", "gradline_export"):
    for module in pkgutil.walk_packages(importlib.import_module(wing).__path__, f"{wing}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            found.append(module.name)
"""

USE_ALL = """
import json, random
from pathlib import Path

import gradline
from gradline.commands.group import run
from gradline.scoring.rows import Scoring
from gradline.scoring.folder import score_files
from gradline.tables import Dialect, open_files
from gradline_export import export_package
from gradline_trainer import fit

folder = Path("parts")
folder.mkdir()
draw = random.Random(0)
rows = [[draw.gauss(0, 1) for _ in range(3)] for _ in range(40)]
for part in range(2):
    lines = [f"{a},{b},{a - b + c / 8}" for a, b, c in rows[part::2]]
    (folder / f"{part}.csv").write_text("\\n".join(["a,b,y", *lines]), encoding="utf-8")

learned = fit("parts", ["y"])
places = [export_package(learned, "artifacts", "small").as_posix() for _ in range(2)]
model = gradline.load("artifacts/small")
answer = model.predict({"a": [1.0], "b": [0.5]}).tolist()
table = open_files("parts", Dialect())
for _ in range(2):  # as an engine's machines do, and again
    score_files(Scoring(model, table), Path("predicted"), "csv", map, lambda *_: None)
statuses = [
    run(words.split())
    for words in (
        "predict artifacts/small parts -o one.csv",
        "pin artifacts/small 1",
        "verify artifacts/small",
        "list artifacts",
        "unpin artifacts/small",
        "diff artifacts/small/1 artifacts/small/2",
    )
]
statuses.append(run("parts -t y --name small --arithmetic fast --save-moments one.moments".split(),
                    "train-and-export"))
print(json.dumps({
    "modules": len(found), "places": places, "statuses": statuses, "answer": answer,
    "left": sorted(p.name for p in Path("artifacts/small").iterdir()),
    "predicted": [p.name for p in Path("predicted").glob("*.csv")],
}))
"""


def test_every_module_imports_and_a_model_is_trained_and_used_without_posix(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_POSIX + IMPORT_ALL + USE_ALL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["modules"] > 150
    assert found["places"] == ["artifacts/small/1", "artifacts/small/2"]
    assert found["statuses"] == [0] * 7
    assert abs(found["answer"][0][0] - 0.5) < 0.2
    assert found["left"] == ["1", "2", "3"]
    assert len(found["predicted"]) == 2
