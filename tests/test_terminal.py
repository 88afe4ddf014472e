"""What a terminal shows, of real ones, and what is plain text anywhere else."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from gradline.commands.group import run
from gradline.explain.t_quantile import t_quantile
from gradline.terminal.layout import Element, Facts, Grid, Heading, Verbatim, as_text
from gradline.terminal.live import GRAPH, sparkline
from gradline.terminal.styled import as_styled
from gradline_export import export_package
from gradline_trainer import Fit, fit
from terminals import GRADLINE, call_on_terminal, on_terminal, piped, resize
from test_lightness import HEAVY, RUN

TRAIN = (*GRADLINE, "train-and-export")
# Epochs to no end, or a few.
SLOW = ("--gradient", "rows", "--preconditioning", "standardize", "--learning-rate", "1e-3")
ENDLESS = (*SLOW, "--tolerance", "0", "--epochs", "1000000000")
FEW = ("train-and-export", *SLOW, "--tolerance", "0", "--epochs", "100")
RULE = "───"
VERIFY = pytest.param("verify", marks=pytest.mark.slow)  # it imports PyTorch


def words(text: str) -> list[str]:
    return re.sub(f"{RULE}+", "", text).split()


def wide_package(tmp_path: Path, d: int, k: int) -> Path:
    random = np.random.default_rng(0)
    x = random.standard_normal((400, d)) * np.arange(1, d + 1)
    noise = random.standard_normal((400, k)) * np.arange(1, k + 1)
    return export_package(fit((x, x.sum(axis=1)[:, None] + 9 * noise)), tmp_path, "wide")


# Where it is a terminal, and where it is none


@pytest.mark.parametrize("columns", [40, 80, 130])
def test_a_terminal_shows_tables_in_its_width_and_loses_nothing(
    orchard_package: Path, columns: int
) -> None:
    command = ("inspect", orchard_package)
    shown = call_on_terminal(*command, columns=columns)
    status, plain, _ = piped(*command)
    assert (shown.status, status) == (0, 0)
    assert "\x1b[" in shown.terminal
    assert RULE in shown.text
    assert set(words(plain)) <= set(words(shown.text))
    to_copy = plain[plain.index("  predict  ") :].splitlines()
    assert set(to_copy) < set(shown.text.splitlines())  # whole, however long
    assert max(len(line) for line in set(shown.text.splitlines()) - set(to_copy)) <= columns


def test_a_pipe_gets_plain_text(orchard_package: Path) -> None:
    status, out, err = piped("inspect", orchard_package)
    assert (status, err) == (0, "")
    assert "\x1b" not in out
    assert RULE not in out
    assert "  training rows    RMSE     MAE        R²\n  apples          0.981" in out


@pytest.mark.parametrize("command", ["inspect", "verify", "list", "diff"])
def test_the_variables_of_the_environment_are_respected(
    orchard_package: Path, command: str
) -> None:
    target = orchard_package.parents[1] if command == "list" else orchard_package
    arguments = (command, *[target] * (1 + (command == "diff")))  # diff takes two
    _, plain, _ = piped(*arguments)
    dumb = call_on_terminal(*arguments, TERM="dumb")
    assert dumb.terminal.replace("\r\n", "\n") == plain
    uncoloured = call_on_terminal(*arguments, NO_COLOR="1")
    assert "\x1b" not in uncoloured.terminal
    coloured = call_on_terminal(*arguments)
    assert "\x1b[1m" in coloured.terminal
    assert words(uncoloured.text) == words(coloured.text)
    _, forced, _ = piped(*arguments, FORCE_COLOR="1", COLUMNS="80")
    assert forced.replace("\n", "\r\n") == coloured.terminal
    assert "\x1b" not in piped(*arguments, FORCE_COLOR="1", NO_COLOR="1")[1]


def test_a_light_install_prints_plain_text_on_a_terminal(orchard_package: Path) -> None:
    arguments = ["inspect", str(orchard_package)]
    light = RUN.format(blocked=sorted(HEAVY), arguments=arguments)
    shown = on_terminal(sys.executable, "-c", light)
    assert shown.status == 0
    assert shown.terminal.replace("\r\n", "\n") == piped(*arguments)[1]


@pytest.mark.parametrize("command", ["inspect", VERIFY, "list"])
def test_plain_text_needs_no_rich(orchard_package: Path, command: str) -> None:
    package = orchard_package.parent
    code = "import sys, atexit\natexit.register(lambda: print('rich' in sys.modules))\n"
    code += RUN.format(blocked=[], arguments=[command, str(package)])
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True).endswith("\nFalse\n")
    assert on_terminal(*command).text.endswith("\nTrue\n")


def test_an_error_is_marked_on_a_terminal_alone(tmp_path: Path) -> None:
    command = ("inspect", tmp_path / "nowhere")
    shown = call_on_terminal(*command)
    assert shown.status == 2
    assert "\x1b[1;31mError: \x1b[0mno package at" in shown.terminal
    assert shown.text == piped(*command)[2]
    assert "\x1b" not in call_on_terminal(*command, NO_COLOR="1").terminal


# The live line


class Interrupt:
    """Does what Ctrl-C does, once: at the sixth line that is drawn, or the first printed."""

    def __init__(self) -> None:
        self.sent = False

    def __call__(self, written: str, process: subprocess.Popen[bytes], _: int) -> None:
        if not self.sent and (written.count("epochs") > 5 or written.endswith("left\r\n")):
            self.sent = True
            process.send_signal(signal.SIGINT)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Shows every step of a command that is called in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("PATIENCE", "LIVE_PATIENCE", "PLAIN_EVERY", "DRAWN_EVERY"):
        monkeypatch.setattr(f"gradline.terminal.progress.{name}", 0.0)


@pytest.mark.usefixtures("impatient")
def test_training_draws_a_line_with_the_loss() -> None:
    shown = call_on_terminal(*FEW, pipe_stdout=True)
    assert shown.status == 0
    drawn = [line for line in shown.drawn if "epochs, loss" in line]
    assert len(drawn) > 90
    line = re.compile(
        r"[▁▂▃▄▅▆▇█]{24}  [\d,]+ epochs, loss [\d.,]+, [\d,]+/s, at most \d+ s left *"
    )
    assert all(line.fullmatch(text) for text in drawn[24:-2])
    assert max(len(text) for text in drawn) <= 80
    assert shown.piped.startswith("orchard: 5 rows, 3 features, 2 targets\n")
    assert "\x1b" not in shown.piped
    # The line is erased, and stderr goes on where it began.
    erased = re.escape("\r\n\r\x1b[1A\x1b[2K")
    assert re.search(rf"100 epochs, loss \S+ [\d,]+/s *{erased}\x1b.*Warning:", shown.terminal)


@pytest.mark.usefixtures("impatient")
def test_json_alone_is_on_stdout_and_quiet_draws_nothing() -> None:
    shown = call_on_terminal(*FEW, "--json", pipe_stdout=True)
    assert json.loads(shown.piped)["epochs"] == 100
    assert "loss" in shown.text
    quiet = call_on_terminal(*FEW, "--quiet", pipe_stdout=True)
    assert quiet.piped == "artifacts/orchard/2\n"
    assert "loss " not in quiet.text.partition("Warning")[0]
    assert not quiet.drawn or quiet.text.startswith("Warning")


def test_an_interrupt_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    shown = on_terminal(*TRAIN, *ENDLESS, cwd=tmp_path, watch=Interrupt())
    assert shown.status == 130
    assert re.search(
        r" left\n\r\n?Error: interrupted\n  no incomplete output is left\n$", shown.text
    )
    assert "\x1b[?" not in shown.terminal  # no cursor was hidden, no mode was set
    assert list(tmp_path.iterdir()) == []


def test_the_line_follows_the_terminals_size(tmp_path: Path) -> None:
    interrupt = Interrupt()

    def narrow(written: str, process: subprocess.Popen[bytes], terminal: int) -> None:
        if written.count("epochs") > 1:
            resize(terminal, 40)
        interrupt(written, process, terminal)

    shown = on_terminal(*TRAIN, *ENDLESS, cwd=tmp_path, watch=narrow)
    assert shown.status == 130
    drawn = [line for line in shown.drawn if "epochs, loss" in line]
    assert max(len(line) for line in drawn) > 60
    assert max(len(line) for line in drawn[2:]) <= 40
    assert all("loss" in line for line in drawn)


@pytest.mark.usefixtures("impatient")
def test_a_dumb_terminal_gets_plain_lines() -> None:
    shown = call_on_terminal(*FEW, TERM="dumb")
    assert shown.status == 0
    assert re.search(r"^[\d,]+ epochs, loss \S+, [\d,]+/s, at most \d+ s left\n", shown.text, re.M)
    assert not shown.drawn


@pytest.mark.usefixtures("impatient")
def test_an_encoding_without_blocks_gets_the_line_without_its_curve() -> None:
    shown = call_on_terminal(*FEW, PYTHONIOENCODING="ascii")
    assert any(re.match(r"[\d,]+ epochs, loss", line) for line in shown.drawn)
    assert shown.terminal.isascii()


@pytest.mark.usefixtures("impatient")
def test_rows_on_a_terminal_have_no_line_between_them(orchard_package: Path) -> None:
    Path("t.csv").write_text("temperature,rainfall,humidity\n" + "73,67,43\n" * 200_000)
    shown = call_on_terminal("predict", orchard_package, "t.csv")
    assert shown.status == 0
    assert shown.text == "apples,oranges\n" + "56.89084,69.93756\n" * 200_000
    elsewhere = call_on_terminal("predict", orchard_package, "t.csv", pipe_stdout=True)
    assert elsewhere.piped == shown.text
    assert any("rows" in line for line in elsewhere.drawn)


class Report:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def __call__(self, stage: str, count: int) -> None:
        self.seen.append((stage, count))

    def expect(self, stage: str, count: int) -> None:
        self.seen.append(("expect", stage, count))

    def loss(self, value: float) -> None:
        self.seen.append(("loss", value))


def test_every_pass_of_a_wide_table_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradline_trainer.learning.WIDE", 2)
    x = np.random.default_rng(0).standard_normal((50, 5))
    report = Report()
    learned = fit((x, x @ np.arange(5.0) + 1), epochs=3, tolerance=0, progress=report)
    assert report.seen[:2] == [("expect", "rows", 50), ("rows", 50)]
    passes = [("expect", "passes", 6), *(("passes", n + 1) for n in range(6))]
    epochs: list[tuple[Any, ...]] = [("expect", "epochs", 3)]
    for number, loss in enumerate(learned.history, 1):
        epochs += [("loss", loss), ("epochs", number)]
    assert report.seen[2:] == passes + epochs


def test_a_pass_that_begins_anew_has_a_rate_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradline.terminal.progress import ProgressDisplay

    now = iter([0.0, 10.0, 10.5, 18.0])
    monkeypatch.setattr("gradline.terminal.progress.time.monotonic", lambda: next(now))
    with ProgressDisplay() as progress:
        progress.expect("passes", 16)
        for passes in (1, 4, 1, 4):
            progress("passes", passes)
    assert capsys.readouterr().err.splitlines() == [
        "4 passes for λmax, 0.3/s, about 40 s left",
        "4 passes for λmax, 0.5/s, about 24 s left",
    ]


def test_what_waits_for_the_first_count_is_done_once() -> None:
    from gradline.terminal.progress import ProgressDisplay

    done: list[str] = []
    with ProgressDisplay(quiet=True, at_first=lambda: done.append("at first")) as progress:
        assert not done
        progress("rows", 1)
        progress("rows", 2)
    assert done == ["at first"]


def test_graphs() -> None:
    assert sparkline([8, 4, 2, 1]) == "█▄▂▁"
    assert sparkline([3, 3]) == "▁▁"
    assert sparkline([]) == ""
    assert sparkline(range(1000)) == "▁" * 2 + sparkline(range(1000))[2:-2] + "█" * 2
    assert len(sparkline(range(1000))) == GRAPH


# Other encodings, and readers that leave


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_signs_are_spelled_where_an_encoding_lacks_them(
    orchard_package: Path, encoding: str
) -> None:
    _, shown, _ = piped("inspect", orchard_package, PYTHONIOENCODING=encoding, FORCE_COLOR="1")
    assert "8,327 -> 0.483" in shown
    assert "  -----" in shown
    assert "?" not in shown
    if encoding == "ascii":
        assert "= -0.38757*temperature + 0.84776*rainfall" in shown
        assert "R2" in shown


def test_a_name_that_an_encoding_lacks_is_still_a_question_mark(tmp_path: Path) -> None:
    path = export_package(fit({"α": [1.0, 2, 3], "y": [1.0, 2, 4]}, "y"), tmp_path, "greek")
    _, out, _ = piped("inspect", path, PYTHONIOENCODING="latin-1")
    assert "1.5·?" in out


@pytest.mark.parametrize("colour", ["", "1"])
def test_a_reader_may_leave(orchard_package: Path, colour: str) -> None:
    line = f"{shlex.join(GRADLINE)} inspect {orchard_package} | true; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "FORCE_COLOR": colour}
    done = subprocess.run(
        ["bash", "-c", line], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# The story


def test_inspect_tells_what_the_report_tells_in_its_order(orchard_package: Path) -> None:
    _, out, _ = piped("inspect", orchard_package)
    said = (
        "orchard version 1", "apples  = ", "training rows", "\nLoss\n", "8,327 → 0.483",
        "the largest stable rate is 2", "\nCoefficients\n", "standard error", "standardized",
        "\nRanges\n", "\nProofs\n", "parity ", "float32 ", "exact ", "\nOrigin\n", "5 read",
        "torch ", "  predict  ", "gradline.load(", "gradline serve",
    )  # fmt: skip
    places = [out.index(text) for text in said]
    assert places == sorted(places)


def test_inspect_shows_the_range_of_a_time_as_dates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [date(1969, 12, 31) + timedelta(days=j * j % 50) for j in range(60)]
    table = {
        "day": days,
        "x": [j % 7 for j in range(60)],
        "y": [j * j % 50 + j % 3 for j in range(60)],
    }
    path = fit(table, "y", ["time(day)", "x"]).export(tmp_path, "days", report=False)
    assert run(["inspect", str(path)]) == 0
    line = next(text for text in capsys.readouterr().out.splitlines() if "1969-12-31" in text)
    assert line.split() == ["time(day)", "1969-12-31", "1970-01-21", "1970-02-18", "15.1", "days"]


def test_inspect_has_the_summarys_own_statistics(orchard_fit: Fit, orchard_package: Path) -> None:
    _, out, _ = piped("inspect", orchard_package)
    assert set(str(orchard_fit.summary()).splitlines()) <= set(out.splitlines())


def test_held_out_rows_and_a_missing_statistic_are_said(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((60, 2))
    learned = fit((x, x.sum(axis=1)), ridge=1, holdout=0.3)
    _, out, _ = piped("inspect", export_package(learned, tmp_path, "ridge"))
    assert out.index("training rows") < out.index("held-out rows")
    assert "no standard errors: the ridge penalty draws the weights towards 0" in out
    assert re.search(r"  y0 +coefficient +standardized\n", out)
    few = fit((random.standard_normal((4, 6)), random.standard_normal(4)))
    _, out, _ = piped("inspect", export_package(few, tmp_path, "few"))
    assert "no degree of freedom is left: nothing else is defined" in out


@pytest.mark.slow
def test_a_large_model_shows_what_matters_most(tmp_path: Path) -> None:
    path = wide_package(tmp_path, 300, 50)
    _, out, _ = piped("inspect", path)
    assert len(out.splitlines()) < 200
    assert "Shown are 8 of 50 targets, those predicted worst, and 8 of 300 features" in out
    # Feature j has a deviation of j, target j an error of j.
    assert re.search(r"Coefficients\n  no standard.*\n\n  y[34]\d .*\n  x2\d\d ", out)
    assert "… (292 more features)" in out
    _, everything, _ = piped("inspect", path, "--all")
    assert re.search(r"Coefficients\n.*\n\n +y0 .*\n  x0 .*\n  x1 ", everything)
    assert len(re.findall(r"^  x150 ", everything, re.MULTILINE)) == 51
    assert "Shown are" not in everything


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 7, 30, 199, 200, 201, 10_000, 10**9])
def test_the_intervals_are_students(dof: int) -> None:
    assert t_quantile(0.95, dof) == pytest.approx(scipy.stats.t.ppf(0.975, dof), rel=1e-11)


# The layout


def test_a_table_that_is_too_wide_goes_on_below() -> None:
    names = ["a", "long name of a feature", "表の名前"]
    head = ["terms", *(f"column{j}" for j in range(9))]
    table = Grid([head, *([name, *(f"{j}.25" for j in range(9))] for name in names)])
    text = as_styled([table], 40, color=False)
    assert max(map(len, text.splitlines())) <= 40
    assert [word for word in words(text) if "column" in word] == head[1:]
    assert words(text).count("8.25") == 3
    assert words(text).count("terms") == len(re.findall(RULE + "+", text)) > 1


def test_names_are_neither_markup_nor_emoji_codes() -> None:
    name = "[bold]x[/bold] :smile: https://a.b"
    parts: list[Element] = [Heading(name), Grid([[name, "1"], [name, "2"]]), Facts([(name, name)])]
    assert as_styled(parts, 120, color=False).count(name) == as_text(parts).count(name) == 5


def test_nothing_in_a_package_moves_the_cursor() -> None:
    hostile = "a\x1b[2J\r\nb\u202ec\xa0d"
    parts: list[Element] = [
        Heading(hostile), Grid([[hostile], [hostile]]), Facts([("note", hostile)]), hostile,
        Verbatim(hostile),
    ]  # fmt: skip
    for text in (as_text(parts), as_styled(parts, 120, color=False)):
        assert text.count("a�[2J  b�c d") == 6
        assert not set(text) & set("\x1b\r\u202e")


@pytest.mark.parametrize(
    "flags",
    ["-f '*' -f 'log(a b)'", "--exclude 'the size'", "-f 'it'\"'\"'s (b)'", "--missing drop"],
)
def test_options_to_paste_stay_on_one_line(flags: str) -> None:
    part = Facts([("columns", f"the size: left out: text that is all different ({flags})")])
    shown = as_styled([part], 40, color=False).splitlines()
    assert shown[-1].endswith(f"({flags})")
    option = "--time-format 'date=%b %d %Y'"
    part = Facts([("columns", f"date: left out: would be dates with {option} (-f '*' -f date)")])
    assert option in as_styled([part], 40, color=False)
    told = "a warning of several words (--one-hot adds text columns as categories)"
    assert all(len(line) <= 40 for line in as_styled([told], 40, color=False).splitlines())


def test_lines_are_broken_behind_their_label_and_paths_never() -> None:
    parts: list[Element] = [
        Facts([("package", "artifacts/" + "x" * 60), ("note", "one two three four five six")]),
        "  prose of some more words",
        Verbatim("  gradline predict artifacts/orchard new.csv"),
    ]
    assert as_styled(parts, 30, color=False).splitlines() == [
        "  package    artifacts/" + "x" * 60,
        "  note       one two three",
        "             four five six",
        "  prose of some more words",
        "  gradline predict artifacts/orchard new.csv",
    ]


# Hints


@pytest.mark.parametrize(
    ("call", "hint", "in_python"),
    [
        (
            lambda: fit({"a": [1.0, 2], "y": [1.0, 3]}, "y", momentum=0.5),
            "leave --momentum out, or use --preconditioning standardize",
            "leave momentum out, or use preconditioning='standardize'",
        ),
        (
            lambda: fit({"a": [1.0, 2], "y": [1.0, 3]}, "y", folds=3),
            "give --ridge auto, or leave --folds out",
            "give ridge='auto', or leave folds out",
        ),
    ],
)
def test_a_traceback_names_options_as_python_has_them(
    call: Callable[[], object], hint: str, in_python: str
) -> None:
    from gradline import GradlineError

    with pytest.raises(GradlineError) as caught:
        call()
    assert (caught.value.command_hint, caught.value.hint) == (hint, in_python)
    assert caught.value.__notes__ == [in_python]
