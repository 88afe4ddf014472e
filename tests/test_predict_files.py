"""gradline predict: tables of any format in and out, in bounded memory, whole or not at all."""

from __future__ import annotations

import io
import json
import os
import shlex
import stat
import subprocess
import sys
import tracemalloc
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradline
from gradline.commands.group import run
from gradline.tables.writing import FORMATS
from gradline_export import export_package
from gradline_trainer import fit, save_moments

READERS = {
    "csv": pl.read_csv,
    "tsv": lambda path: pl.read_csv(path, separator="\t"),
    "csv.gz": pl.read_csv,
    "csv.zst": pl.read_csv,
    "tsv.gz": lambda path: pl.read_csv(path, separator="\t"),
    "tsv.zst": lambda path: pl.read_csv(path, separator="\t"),
    "parquet": pl.read_parquet,
    "arrow": pl.read_ipc,
    "feather": pl.read_ipc,
    "ndjson": pl.read_ndjson,
    "jsonl": pl.read_ndjson,
}
WEATHER = {
    "region": ["north", "south, “east”", "☃"],
    "humidity": [43.0, 64.0, 58.5],
    "temperature": [73.0, 91.0, 87.25],
    "rainfall": [67, 88, 134],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(WEATHER).write_csv("weather.csv")


@pytest.fixture(scope="module")
def model(orchard_package: Path) -> gradline.Model:
    return gradline.load(orchard_package)


def expected(model: gradline.Model) -> np.ndarray:
    return model.predict(pl.DataFrame(WEATHER))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_that_is_written_reads_back_to_the_same_bits(
    kind: str, orchard_package: Path, model: gradline.Model
) -> None:
    assert set(READERS) == set(FORMATS)
    words = ["predict", str(orchard_package), "weather.csv"]
    assert run([*words, "-o", f"out.{kind}"]) == 0
    assert run([*words, "-o", "named.other", "--format", kind]) == 0
    for name in (f"out.{kind}", "named.other"):
        found = READERS[kind](Path(name))
        assert found.columns == ["apples", "oranges"]
        values = found.to_numpy().astype(np.float32)
        assert (values == expected(model)).all()  # bit for bit: decimals round-trip


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "parquet", "arrow", "ndjson"])
def test_stdin_and_stdout_speak_every_format(
    kind: str, orchard_package: Path, model: gradline.Model
) -> None:
    frame = pl.DataFrame(WEATHER)
    buffer = io.BytesIO()
    {
        "csv": frame.write_csv,
        "tsv": frame.write_csv,
        "csv.gz": lambda file: frame.lazy().sink_csv(file, compression="gzip"),
        "parquet": frame.write_parquet,
        "arrow": frame.write_ipc,
        "ndjson": frame.write_ndjson,
    }[kind](buffer)
    command = [sys.executable, "-m", "gradline", "predict", str(orchard_package), "-"]
    done = subprocess.run(
        [*command, "-o", "-", "--format", kind],
        input=buffer.getvalue(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    Path(f"out.{kind}").write_bytes(done.stdout)
    values = READERS[kind](Path(f"out.{kind}")).to_numpy().astype(np.float32)
    assert (values == expected(model)).all()


def test_a_json_array_on_stdin_is_told_from_a_table(orchard_package: Path) -> None:
    command = [sys.executable, "-m", "gradline", "predict", str(orchard_package), "-"]
    done = subprocess.run(command, input=b'[{"rainfall": 1}]', capture_output=True, check=False)
    assert done.returncode == 2
    assert b"stdin holds a JSON array" in done.stderr
    assert b"NDJSON with one object a line" in done.stderr


def test_a_tab_is_found_on_stdin_and_may_be_named_as_it_is_shown(
    orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.DataFrame(WEATHER).write_csv("tabs.csv", separator="\t")
    command = [sys.executable, "-m", "gradline", "predict", str(orchard_package), "-"]
    with open("tabs.csv", "rb") as file:
        found = subprocess.run(command, stdin=file, capture_output=True, check=True).stdout
    assert len(found.splitlines()) == 4
    words = ["predict", str(orchard_package), "tabs.csv", "-q", "-o", "out.csv"]
    assert run(words) == 2
    assert r"--separator '\t'" in capsys.readouterr().err
    assert run([*words, "--separator", r"\t"]) == 0


def test_an_empty_stdin_is_bad_input(orchard_package: Path) -> None:
    command = [sys.executable, "-m", "gradline", "predict", str(orchard_package), "-"]
    done = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert done.returncode == 2
    assert b"stdin is empty" in done.stderr


@pytest.mark.parametrize("source", ["weather.csv", "weather.parquet", "weather.ndjson"])
def test_kept_columns_stand_before_the_predictions_as_they_were(
    source: str, orchard_package: Path
) -> None:
    frame = pl.DataFrame(WEATHER)
    frame.write_parquet("weather.parquet")
    frame.write_ndjson("weather.ndjson")
    words = ["predict", str(orchard_package), source, "-o", "out.parquet"]
    assert run([*words, "--keep", "rainfall", "--keep", "region"]) == 0
    found = pl.read_parquet("out.parquet")
    assert found.columns == ["rainfall", "region", "apples", "oranges"]
    assert found["region"].to_list() == WEATHER["region"]
    assert found["rainfall"].cast(pl.Int64).to_list() == WEATHER["rainfall"]
    assert run([*words, "--keep", "all"]) == 0
    assert pl.read_parquet("out.parquet").columns == [*WEATHER, "apples", "oranges"]


def test_text_is_kept_to_the_letter(orchard_package: Path) -> None:
    rows = "id,temperature,rainfall,humidity\n007,73.0,6.70e1,43\n 8 ,91,88,64\n"
    Path("new.csv").write_text(rows)
    words = ["predict", str(orchard_package), "new.csv", "-o", "out.csv"]
    assert run([*words, "--keep", "all"]) == 0
    kept = [line.split(",")[:4] for line in Path("out.csv").read_text().splitlines()]
    assert kept == [line.split(",") for line in rows.splitlines()]


def test_truth_and_prediction_stand_side_by_side(
    orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pl.DataFrame(WEATHER).with_columns(apples=pl.lit(1))
    frame.write_csv("labelled.csv")
    words = ["predict", str(orchard_package), "labelled.csv", "-o", "out.csv", "--keep"]
    assert run([*words, "apples"]) == 0
    assert pl.read_csv("out.csv").columns == ["apples", "apples_predicted", "oranges"]
    Path("out.csv").unlink()
    assert run([*words, "regoin"]) == 2
    assert "did you mean 'region'?" in capsys.readouterr().err
    assert not Path("out.csv").exists()
    assert run([*words, "all"]) == 0
    assert "not kept" not in capsys.readouterr().err
    assert pl.read_csv("out.csv").columns == [*WEATHER, "apples", "apples_predicted", "oranges"]


def test_a_column_may_be_called_like_a_pattern(tmp_path: Path) -> None:
    table = {"^a.*$": [1.0, 2, 3], "abc": [3.0, 1, 2], "*": ["u", "v", "w"], "y": [1.0, 2, 4]}
    path = export_package(fit(pl.DataFrame(table), "y", ["^a.*$", "abc"]), tmp_path, "m")
    pl.DataFrame(table).drop("y").write_csv("odd.csv")
    words = ["predict", str(path), "odd.csv", "-o", "out.csv", "--keep", "*", "--keep", "^a.*$"]
    assert run(words) == 0
    assert pl.read_csv("out.csv").columns == ["*", "^a.*$", "y"]


def test_a_fault_in_the_last_rows_leaves_the_older_output_be(orchard_package: Path) -> None:
    n = 200_000
    good = {name: np.full(n, 50.0) for name in ("temperature", "rainfall", "humidity")}
    frame = pl.DataFrame(good).with_columns(pl.all().cast(pl.String))
    bad = pl.DataFrame({"temperature": ["warm"], "rainfall": ["1"], "humidity": ["2"]})
    pl.concat([frame, bad]).write_csv("bad.csv")
    Path("out.parquet").write_bytes(b"older")
    words = ["predict", str(orchard_package), "bad.csv", "-o", "out.parquet"]
    assert run(words) == 2
    assert Path("out.parquet").read_bytes() == b"older"
    assert sorted(p.name for p in Path().iterdir()) == ["bad.csv", "out.parquet", "weather.csv"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "ndjson"])
def test_a_full_disk_is_one_error_and_leaves_nothing(
    kind: str, orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """/dev/full takes no byte: the hidden file that is written to is a link to it."""
    from gradline import atomic

    n = 500_000
    pl.DataFrame(
        {
            name: np.random.default_rng(0).random(n)
            for name in ("temperature", "rainfall", "humidity")
        }
    ).write_parquet("big.parquet")
    real = atomic.os.open

    def full(path: object, flags: int, mode: int = 0o777) -> int:
        if ".gradline-" in str(path):
            return real("/dev/full", atomic.os.O_WRONLY)
        return real(path, flags, mode)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.os, "open", full)
        status = run(["predict", str(orchard_package), "big.parquet", "-o", f"out.{kind}"])
    shown = capsys.readouterr().err
    assert status == 2, shown
    assert f"cannot write out.{kind}" in shown
    assert "Traceback" not in shown
    assert not Path(f"out.{kind}").exists()


@pytest.mark.parametrize("words", [["--format", "xlsx"], ["-o", "out.xlsx"], ["-o", "out"]])
def test_an_unknown_output_format_lists_those_that_there_are(
    words: list[str], orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", str(orchard_package), "weather.csv", *words]) == 2
    assert "parquet" in capsys.readouterr().err


def test_json_says_how_many_rows_and_quiet_says_nothing(
    orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(orchard_package), "weather.csv", "-o", "out.csv"]
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 3
    assert run([*words, "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_empty_table_gives_an_empty_answer_with_its_columns(orchard_package: Path) -> None:
    Path("empty.csv").write_text("temperature,rainfall,humidity,region\n")
    for kind in ("csv", "parquet", "arrow"):
        words = ["predict", str(orchard_package), "empty.csv", "-o", f"out.{kind}"]
        assert run([*words, "--keep", "region"]) == 0
        found = READERS[kind](Path(f"out.{kind}"))
        assert (found.columns, len(found)) == (["region", "apples", "oranges"], 0)
    assert run(["predict", str(orchard_package), "empty.csv"]) == 0


ROW = {"temperature": 73.0, "rainfall": 67.0, "humidity": 43.0}


def lines_of(folder: str, *prices: object) -> None:
    """Write one file of NDJSON for each price."""
    Path(folder).mkdir()
    for place, price in enumerate(prices):
        Path(folder, f"{place}.ndjson").write_text(json.dumps({**ROW, "price": price}) + "\n")


def test_a_kept_column_has_room_for_the_values_of_every_file(orchard_package: Path) -> None:
    lines_of("days", None, 10, 10.75)
    assert run(["predict", str(orchard_package), "days", "--keep", "price", "-o", "p.parquet"]) == 0
    assert pl.read_parquet("p.parquet")["price"].to_list() == [None, 10.0, 10.75]
    Path("typed").mkdir()
    when = [date(2024, 1, 1), datetime(2024, 1, 1, 3)]
    for n, day, kind in ((3, when[0], pl.Int8), (300, when[1], pl.Int64)):
        row = pl.DataFrame({**ROW, "n": n, "when": day}, schema_overrides={"n": kind})
        row.write_parquet(f"typed/{n}.parquet")
    words = ["predict", str(orchard_package), "typed", "--keep", "n", "--keep", "when"]
    assert run([*words, "-o", "t.parquet"]) == 0
    found = pl.read_parquet("t.parquet")
    assert sorted(found["n"]) == [3, 300]
    assert sorted(found["when"]) == [datetime(2024, 1, 1), when[1]]


@pytest.mark.parametrize("kind", ["large integer", "text"])
def test_a_kept_value_that_would_become_another_is_refused(
    kind: str, orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines_of("days", 10.75, 9007199254740993)
    if kind == "text":
        Path("days/1.ndjson").unlink()
        pl.DataFrame({**ROW, "price": "1.5"}).write_csv("days/1.csv")
    words = ["predict", str(orchard_package), "days", "--keep", "price", "--json", "-o", "p.csv"]
    assert run(words) == 2
    refused = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert refused["error"] == "mixed-schemas"
    assert "'price', to be kept, is" in refused["message"]
    assert not Path("p.csv").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--keep", "all"], "2 columns named 'z'"),
        (["--keep", "z"], "2 columns named 'z'"),
        (["--keep", "outside", "--check"], "the column 'outside' can't be kept"),
        (["--keep", "apples: baseline", "--explain"], "'apples: baseline' can't be kept"),
    ],
)
def test_two_columns_of_the_answer_never_have_one_name(
    words: list[str], says: str, orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = ",".join([*ROW, "z", "z", "outside", "apples: baseline"])
    Path("odd.csv").write_text(f"{header}\n73,67,43,1,2,3,4\n")
    assert run(["predict", str(orchard_package), "odd.csv", *words]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "words", "says"),
    [
        (date(2024, 1, 1), ["--json"], '"kept":"2024-01-01"'),
        (Decimal("1.50"), ["--json"], '"kept":"1.50"'),
        (timedelta(hours=1), ["--json"], '"kept":"PT3600S"'),
        (b"x", ["--json"], "holds Binary, which ndjson can't"),
        (b"x", ["--format", "ndjson"], "holds Binary, which ndjson can't"),
        ([b"x"], ["-o", "out.ndjson"], "holds List(Binary), which ndjson can't"),
        ([1], [], "holds List(Int64), which csv can't"),
        (timedelta(hours=1), ["-o", "out.csv"], "which csv can't"),
    ],
)
def test_a_kept_value_that_a_format_has_no_word_for_is_told_first(
    value: object,
    words: list[str],
    says: str,
    orchard_package: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    pl.DataFrame({name: [v] for name, v in {**ROW, "kept": value}.items()}).write_parquet("k.pq")
    status = run(["predict", str(orchard_package), "k.pq", "--keep", "kept", *words])
    out, said = (text.decode() for text in capfdbinary.readouterr())
    assert status == (2 if "can't" in says else 0)
    assert says in out + said


def test_what_means_missing_is_text_where_it_is_kept(orchard_package: Path) -> None:
    rows = "country,temperature,rainfall,humidity\nNA,73,67,43\nnull,NA,67,43\nNaN,999,67,43\n"
    Path("new.csv").write_text(rows)
    words = ["predict", str(orchard_package), "new.csv", "--keep", "all", "-o", "out.csv"]
    for more, missing in (([], 1), (["--null", "999"], 2)):
        assert run([*words, *more]) == 0
        found = Path("out.csv").read_text().splitlines()
        assert [line.rsplit(",", 2)[0] for line in found] == rows.splitlines()
        assert sum(line.endswith(",,") for line in found) == missing


def test_one_json_object_holds_any_number_of_rows_in_flat_memory(
    orchard_package: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows = 150_000
    pl.DataFrame({name: np.full(rows, v) for name, v in ROW.items()}).write_parquet("big.pq")
    tracemalloc.start()
    assert run(["predict", str(orchard_package), "big.pq", "--json"]) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    answer = json.loads(capfdbinary.readouterr().out)
    assert answer["rows"] == len(answer["predictions"]) == rows
    assert answer["predictions"][-1]["apples"] == pytest.approx(56.89084)
    assert peak < 30e6


# What is written to


def test_a_link_stays_a_link_and_a_file_keeps_who_may_read_it(orchard_package: Path) -> None:
    words = ["predict", str(orchard_package), "weather.csv", "-q", "-o", "link.csv"]
    Path("folder").mkdir()
    Path("link.csv").symlink_to("folder/real.csv")
    for mode in (None, 0o600):  # the second time there is a file
        if mode:
            Path("folder/real.csv").write_text("older")
            Path("folder/real.csv").chmod(mode)
        assert run(words) == 0
        assert Path("link.csv").is_symlink()
        assert len(pl.read_csv("folder/real.csv")) == 3
    assert Path("folder/real.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_pipe_is_written_to_and_stays(kind: str, orchard_package: Path) -> None:
    os.mkfifo("pipe")
    words = ["predict", str(orchard_package), "weather.csv", "-q", "-o", "pipe", "--format", kind]
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
        try:
            assert run(words) == 0
            out, _ = reader.communicate(timeout=30)
        finally:
            reader.kill()
    assert len(READERS[kind](io.BytesIO(out))) == 3
    assert Path("pipe").is_fifo()


def test_a_device_is_written_to_and_stays(orchard_package: Path) -> None:
    try:
        os.mknod("null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        Path("null").write_bytes(b"x")
    except PermissionError:
        pytest.skip("only some may make devices")
    assert run(["predict", str(orchard_package), "weather.csv", "-o", "null", "--format=csv"]) == 0
    save_moments(fit(WEATHER | {"apples": [1.0, 2, 4]}, "apples", keep_moments=True), "null")
    assert Path("null").is_char_device()


def test_a_folder_as_output_is_told_before_anything_is_read(
    orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(orchard_package), "no-such.csv", "-o", ".", "--format", "csv"]
    assert run(words) == 2
    assert "cannot write .: it is a folder" in capsys.readouterr().err


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_files_give_what_predict_gives(
    data: st.DataObject, model: gradline.Model, orchard_package: Path
) -> None:
    number = st.floats(-1e6, 1e6, width=32)
    rows = data.draw(st.lists(st.tuples(number, number, number), min_size=1, max_size=40))
    frame = pl.DataFrame(rows, schema=model.features, orient="row")
    frame.select(*reversed(model.features)).write_csv("some.csv")
    assert run(["predict", str(orchard_package), "some.csv", "-q", "-o", "some.parquet"]) == 0
    assert (pl.read_parquet("some.parquet").to_numpy() == model.predict(frame)).all()


PEAK = """
import sys
from gradline.commands.group import run
assert run(["predict", *sys.argv[1:], "-q"]) == 0
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has it")
@pytest.mark.parametrize(
    ("kind", "few", "many"), [("parquet", 4_000_000, 12_000_000), ("csv", 4_000_000, 10_000_000)]
)
def test_memory_does_not_grow_with_the_rows(
    kind: str, few: int, many: int, orchard_package: Path
) -> None:
    def peak(rows: int) -> int:
        random = np.random.default_rng(0)
        frame = pl.DataFrame(
            {name: random.random(rows) for name in ("temperature", "rainfall", "humidity", "more")}
        )
        name = f"table.{kind}"
        frame.write_parquet(name) if kind == "parquet" else frame.write_csv(name)
        command = [sys.executable, "-c", PEAK, str(orchard_package), name, "-o", f"out.{kind}"]
        return min(int(subprocess.check_output(command)) for _ in range(2))

    first, last = peak(few), peak(many)
    # Runs of one table differ by a fifth. Keeping 6 million more rows would add at least 190 MB.
    assert last < 1.3 * first, f"{first} kB for {few} rows, {last} kB for {many}"


def test_a_folder_as_output_is_for_a_cluster(
    orchard_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def hint(output: str) -> str:
        assert run(["predict", str(orchard_package), "weather.csv", "-o", output]) == 2
        return capsys.readouterr().err.splitlines()[-1].strip()

    Path("a b").mkdir()
    told = hint("a b/")
    file = "-o 'a b/predictions.csv'"
    assert told == f"{file}, or add --engine ray for a folder with a file per file"
    assert run(["predict", str(orchard_package), "weather.csv", *shlex.split(file)]) == 0
    assert hint("new/").endswith("or give --format; a folder needs --engine ray")
