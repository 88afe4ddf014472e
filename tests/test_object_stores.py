"""Tables in object stores, against a server of S3's protocol in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gradline.cli import main
from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS
from gradline.tables.objects import ObjectFile, is_remote

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""
ROWS = {"0": BLOCK_ROWS + 1000, "1": 3, "2": 2000}  # of files of very different sizes
Outcome = tuple[int, str, str]
slow = pytest.mark.slow


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a store that has the bucket `shop`, with what lies in `local`."""
    command = [sys.executable, "-W", "ignore", "-c", SERVER]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert server.stdout is not None
    port = server.stdout.readline().split()[-1]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    try:
        yield environment
    finally:
        server.communicate()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the bucket has a copy of."""
    folder = tmp_path_factory.mktemp("local")
    for name, rows in ROWS.items():
        random = np.random.default_rng(int(name))
        x = random.normal(size=(rows, 2))
        frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x @ [2.0, -1] + int(name)})
        for kind in ("parquet", "csv"):
            (folder / kind).mkdir(exist_ok=True)
            getattr(frame, f"write_{kind}")(folder / kind / f"{name}.{kind}")
        part = folder / "hive" / f"year=202{name}" / "site=south west"
        part.mkdir(parents=True)
        frame.head(50).write_parquet(part / "part-0.parquet")
    (folder / "parquet" / "_SUCCESS").touch()
    (folder / "parquet" / "later").mkdir()
    frame.write_parquet(folder / "parquet" / "later" / "3.parquet")  # no partition
    (folder / "odd").mkdir()
    (folder / "odd" / "short.csv").write_text("a,b,y\n1,2,3\n4,5\n6,7,8\n")
    (folder / "odd" / "words.csv").write_text("a,b,y\n1,2,3\nmany,5,6\n6,7,8\n")
    (folder / "odd" / "empty.csv").touch()
    (folder / "odd" / "no.parquet").write_text("no Parquet")
    (folder / "odd" / "[a] b*.csv").write_text("a,b,y\n1,2,3\n4,5,7\n6,7,1\n0,1,2\n")
    return folder


@pytest.fixture(scope="session")
def bucket(store: dict[str, str], local: Path) -> str:
    import boto3

    session = boto3.session.Session(
        aws_access_key_id=store["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=store["AWS_SECRET_ACCESS_KEY"],
        region_name=store["AWS_REGION"],
    )
    client = session.client("s3", endpoint_url=store["AWS_ENDPOINT_URL"])
    client.create_bucket(Bucket="shop")
    for path in filter(Path.is_file, local.rglob("*")):
        key = path.relative_to(local).as_posix()
        client.put_object(Bucket="shop", Key=key, Body=path.read_bytes())
    client.close()
    return "s3://shop"


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    store: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Calls a command in an empty folder: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for name, value in store.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def assert_same_package(one: Path, other: Path) -> None:
    """All the same bytes, but for what is told of the files that were read."""
    for name in ("model.onnx", "model.pt", "golden.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    manifests = [json.loads((path / "manifest.json").read_bytes()) for path in (one, other)]
    for manifest in manifests:
        del manifest["seal"], manifest["training"]["files"], manifest["files"]["report.html"]
    assert manifests[0] == manifests[1]


@slow
@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("parquet", []),
        ("parquet/", ["--holdout", "0.2"]),
        ("parquet/*.parquet", ["--ridge", "auto"]),
        ("csv/*.csv", []),
        ("csv", ["--arithmetic", "exact"]),
        ("hive", ["--one-hot", "year", "--exclude", "site", "--ridge", "1"]),
        ("hive/*/*/*.parquet", ["--exclude", "site"]),
    ],
)
def test_what_is_learned_is_what_the_local_files_teach(
    run: Run, bucket: str, local: Path, tmp_path: Path, data: str, options: list[str]
) -> None:
    for root, output in ((bucket, "remote"), (local, "near")):
        where = ("-t", "y", "--name", "same", "-o", output)
        status, _, told = run("train-and-export", f"{root}/{data}", *where, *options)
        assert status == 0, told
    assert_same_package(tmp_path / "remote/same/1", tmp_path / "near/same/1")
    manifest = json.loads((tmp_path / "remote/same/1/manifest.json").read_bytes())
    files = manifest["training"]["files"]
    assert all(file == {"name": file["name"], "store": "s3"} for file in files)
    near = json.loads((tmp_path / "near/same/1/manifest.json").read_bytes())
    assert [f["name"] for f in files] == [f["name"] for f in near["training"]["files"]]


@slow
def test_predictions_are_those_of_the_local_files(
    run: Run, bucket: str, local: Path, tmp_path: Path
) -> None:
    assert run("train-and-export", f"{bucket}/csv/2.csv", "-t", "y")[0] == 0
    for data in ("parquet", "csv/*.csv", "odd/?a? b*.csv"):
        near, far = (run("predict", "artifacts/2", f"{r}/{data}") for r in (local, bucket))
        assert far == near
        assert far[0] == 0
    status, _, told = run("predict", "artifacts/2", f"{bucket}/parquet", "-o", "out.parquet")
    assert (status, told) == (
        0,
        f"{sum(ROWS.values()):,} rows predicted by 2, written to out.parquet\n",
    )
    assert run("inspect", "artifacts/2")[0] == 0


@slow
@pytest.mark.parametrize(
    ("data", "said", "code"),
    [
        ("s3://nobucket/t.csv", "there is no s3://nobucket/t.csv", "no-data"),
        ("s3://nobucket/t.parquet", "there is no s3://nobucket", "no-data"),
        ("s3://nobucket/*.csv", "there is no s3://nobucket", "no-data"),
        ("s3://shop/none.csv", "there is no s3://shop/none.csv", "no-data"),
        ("s3://shop/csv.parquet", "there is no s3://shop/csv.parquet", "no-data"),
        ("s3://shop/none/*.csv", "no such file: s3://shop/none/*.csv", "no-data"),
        ("s3://shop/none/", "no table in the folder s3://shop/none/", "no-data"),
        ("s3://shop/odd/words", "no table in the folder s3://shop/odd/words", "no-data"),
        ("s3://shop/odd/[.csv", "cannot be listed", "unreadable-data"),
        ("s3://shop", "no table in the folder s3://shop", "no-data"),
        ("s3://shop/odd/empty.csv", "empty.csv is empty", "empty-file"),
        ("s3://shop/odd/short.csv", "short.csv is ragged: row 2 has 2 fields", "ragged"),
        (
            "s3://shop/odd/words.csv",
            "'many'; the first is in row 2 of words.csv",
            "not-numeric",
        ),
        ("s3://shop/odd/no.parquet", "no.parquet cannot be read", "unreadable-data"),
    ],
)
def test_what_is_wrong_is_named_within_seconds(
    run: Run, bucket: str, data: str, said: str, code: str
) -> None:
    start = time.monotonic()
    options = ("-t", "y", "-f", "a", "--missing", "drop", "--strict", "--json")
    status, out, told = run("train-and-export", data, *options)
    assert time.monotonic() - start < 15
    assert (status, out) == (2, ""), told
    error = json.loads(told)
    assert said in error["message"]
    assert error["error"] == code
    assert "xml" not in told


@slow
@pytest.mark.parametrize("data", ["csv/0.csv", "parquet"])
@pytest.mark.parametrize(
    ("changed", "said", "code"),
    [
        (
            {
                "AWS_ACCESS_KEY_ID": "",
                "AWS_SECRET_ACCESS_KEY": "",
                "AWS_METADATA_ENDPOINT": "http://127.0.0.1:1",
            },
            "no credentials for s3://shop",
            "no-credentials",
        ),
        ({"AWS_ACCESS_KEY_ID": ""}, "no credentials for s3://shop", "no-credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "cannot be read", "unreadable-data"),
    ],
)
def test_no_credentials_and_no_store_are_told_within_seconds(
    store: dict[str, str],
    bucket: str,
    tmp_path: Path,
    data: str,
    changed: dict[str, str],
    said: str,
    code: str,
) -> None:
    """In a process of its own: Polars keeps what it knows of a store."""
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environment = {k: v for k, v in {**surroundings, **store, **changed}.items() if v}
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "gradline", "train-and-export", f"{bucket}/{data}", "-ty", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        timeout=120,
    )
    assert time.monotonic() - start < 20
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)
    assert said in error["message"]
    assert error["error"] == code
    assert "AWS_ENDPOINT_URL" in error["hint"]


def test_addresses_are_told_from_paths() -> None:
    assert is_remote("s3://bucket/key")
    assert is_remote("gs://bucket/*.csv")
    assert is_remote("az://container/folder")
    assert not is_remote("s3/bucket")
    assert not is_remote("https://example.org/t.csv")
    assert not is_remote("s3")
    assert not is_remote(Path("s3://bucket"))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("s3://bucket/sales.csv.gz", "sales"),
        ("s3://bucket/logs/*.parquet", "logs"),
        ("s3://bucket/*.parquet", "bucket"),
        ("s3://bucket/logs/year=*/*.parquet", "logs"),
        ("s3://bucket/folder/", "folder"),
    ],
)
def test_a_package_is_called_as_the_table_is(data: str, name: str) -> None:
    from gradline.tables.files import stem

    assert stem(data) == name


def test_an_object_is_as_much_of_a_path_as_readers_need() -> None:
    file = ObjectFile("gs://bucket/a b/year=2024/t.csv.gz")
    assert (file.name, file.suffix, file.suffixes) == ("t.csv.gz", ".gz", [".csv", ".gz"])
    assert (file.store, str(file)) == ("gs", "gs://bucket/a b/year=2024/t.csv.gz")


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_other_stores_are_asked_too(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no server of theirs here: what they lack first is an account."""
    from gradline.tables import open_files

    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    hints = {"gs": "GOOGLE_APPLICATION_CREDENTIALS", "az": "AZURE_STORAGE_ACCOUNT_NAME"}
    with pytest.raises(InputError, match=f"no credentials for {scheme}://bucket") as caught:
        open_files(f"{scheme}://bucket/t.csv")
    assert hints[scheme] in caught.value.hint


def test_a_store_is_asked_where_nobody_knows_the_users_name_or_home(tmp_path: Path) -> None:
    known = ("HOME", "USER", "POLARS_TEMP_DIR", "GOOGLE_APPLICATION_CREDENTIALS")
    surroundings = {k: v for k, v in os.environ.items() if k not in known}
    done = subprocess.run(
        [sys.executable, "-m", "gradline", "train-and-export", "gs://bucket/t.csv", "-ty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**surroundings, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "panicked" not in done.stderr
    assert "Error: no credentials for gs://bucket" in done.stderr
    assert not [*tmp_path.iterdir()]
