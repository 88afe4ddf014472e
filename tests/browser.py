"""A page in headless Chromium, driven by the DevTools protocol over a pipe."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Page"]

OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe", "--window-size=900,760",
]  # fmt: skip
PATIENCE = 60.0  # seconds
KEYS = {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "ArrowDown": 40, "Delete": 46}
TEXTS = {"Enter": "\r", " ": " "}  # that keys bring, as the page is told


class Page:
    """A browser of its own with one page; leaving the context ends it.

    Messages are JSON that a zero byte ends, to the browser's descriptor 3 and from its 4:
    https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, chromium: str, profile: Path) -> None:
        there, self._send = os.pipe()
        self._receive, back = os.pipe()
        command = [chromium, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$@" 3</dev/fd/{there} 4>/dev/fd/{back}', "sh", *command],
            pass_fds=(there, back),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(there)
        os.close(back)
        self._buffer = b""
        self._calls = 0
        self._session: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._attach()
        except BaseException:
            self._end()
            raise
        return self

    def _attach(self) -> None:
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._send)
        os.close(self._receive)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return what the browser answers to this method; what it reports meanwhile is left."""
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": parameters, **self._session}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self._next_message()).get("id") != self._calls:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _next_message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], PATIENCE)
            received = os.read(self._receive, 1 << 20) if ready else b""
            assert received, "the browser ended, or does not answer"
            self._buffer += received
        first, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def evaluate(self, expression: str) -> Any:
        """Return an expression's value, as JSON has it; a promise's once it is kept."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Return an expression's value as soon as it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)
        return value

    def open(self, address: str) -> None:
        """Go there; what the page does once it is loaded is to be waited for."""
        self.call("Page.navigate", url=address)

    def type(self, text: str) -> None:
        """Type into what has the focus, over what is selected there; no text deletes that."""
        if text:
            self.call("Input.insertText", text=text)
            return
        self.press("Delete")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": TEXTS[key]} if key in TEXTS else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def prefer(self, scheme: str) -> None:
        """Let the user's preference be a `light` or a `dark` colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
