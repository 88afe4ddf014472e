"""Draw docs/report.png, the top of the orchard's report, with Chromium: `make picture`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

PICTURE = Path(__file__).with_name("report.png")
SIZE = "1000,1640"  # down to the effects


def draw(chromium: str = "chromium") -> None:
    """Train the built-in table and write what a browser shows of its report."""
    with tempfile.TemporaryDirectory() as folder:
        command = Path(sys.executable).with_name("train-and-export")
        subprocess.run([command, "--output", folder, "--quiet"], check=True)  # noqa: S603
        subprocess.run(  # noqa: S603
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--window-size={SIZE}",
                f"--screenshot={PICTURE}",
                f"file://{folder}/orchard/1/report.html",
            ],
            check=True,
            stderr=subprocess.DEVNULL,  # it complains of services that a headless page lacks
        )


if __name__ == "__main__":
    draw(*sys.argv[1:])
