"""Draw docs/report.png and docs/page.png, the tops of two pages, with Chromium: `make picture`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
REPORT_SIZE = "800,1310"  # down to the predictions beside the actual values
PAGE_SIZE = "800,1120"  # down to what makes up the prediction
SCALE = 1.5  # pixels of the picture for each of the page
CAFES = DOCS.parent / "examples" / "cafes.csv"


def draw(chromium: str = "chromium") -> None:
    """Train, and write what a browser shows of the report and of the server's page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        train = [Path(sys.executable).with_name("train-and-export"), CAFES, "--target", "revenue"]
        subprocess.run([*train, "--output", folder, "--quiet"], check=True)  # noqa: S603
        report = (folder / "cafes" / "1" / "report.html").as_uri()
        _shot(chromium, folder, report, REPORT_SIZE, DOCS / "report.png")
        serve = [Path(sys.executable).with_name("gradline"), "serve", folder / "cafes"]
        with subprocess.Popen(  # noqa: S603
            [*serve, "--port", "8080"], stderr=subprocess.PIPE, text=True
        ) as server:
            assert server.stderr is not None  # noqa: S101
            address = server.stderr.readline().strip()  # the port is in the picture
            _shot(chromium, folder, f"{address}/", PAGE_SIZE, DOCS / "page.png")
            server.terminate()


def _shot(chromium: str, folder: Path, address: str, size: str, picture: Path) -> None:
    subprocess.run(  # noqa: S603
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--virtual-time-budget=5000",  # the page asks its server first
            f"--user-data-dir={folder}/profile",
            f"--window-size={size}",
            f"--force-device-scale-factor={SCALE}",
            f"--screenshot={picture}",
            address,
        ],
        check=True,
        stderr=subprocess.DEVNULL,  # it complains of services that a headless page lacks
    )


if __name__ == "__main__":
    draw(*sys.argv[1:])
