"""Draw docs/report.png and docs/page.png, the tops of two pages, with Chromium: `make picture`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
REPORT_SIZE = "1000,1640"  # down to the effects
PAGE_SIZE = "1000,1180"  # down to the request in code
CAFES = DOCS.parent / "examples" / "cafes.csv"


def draw(chromium: str = "chromium") -> None:
    """Train, and write what a browser shows of the orchard's report and of the cafes' page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        command = [Path(sys.executable).with_name("train-and-export"), "--quiet", "--output"]
        subprocess.run([*command, folder], check=True)  # noqa: S603
        subprocess.run([*command, folder, CAFES, "--target", "revenue"], check=True)  # noqa: S603
        report = (folder / "orchard" / "1" / "report.html").as_uri()
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
            f"--screenshot={picture}",
            address,
        ],
        check=True,
        stderr=subprocess.DEVNULL,  # it complains of services that a headless page lacks
    )


if __name__ == "__main__":
    draw(*sys.argv[1:])
