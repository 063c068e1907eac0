"""A page in headless Chromium, driven over its debugging pipe: evaluate, press keys, move the mouse, listen."""

import fcntl
import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
]  # fmt: skip


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Page:
    """One page; `complaints` are errors and warnings of its console."""

    def __init__(self, program: str, profile: Path, width: int = 1300, height: int = 1000) -> None:
        pipes = [*os.pipe(), *os.pipe()]
        # Chromium reads commands from descriptor 3 and answers on 4: ours must be others.
        commands, self._commands, self._answers, answers = (
            fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in pipes
        )
        for end in pipes:
            os.close(end)
        shell = f'exec "$@" 3<&{commands} 4>&{answers}'
        command = [
            program,
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *command],
            pass_fds=(commands, answers), stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(profile)},
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        self._numbers, self._buffer, self.complaints = itertools.count(1), b"", list[str]()
        self._session: dict[str, str] = {}
        [target] = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._commands)
        os.close(self._answers)

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._listen(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._answers, 1 << 20)
            assert piece, "the browser has gone"
            self._buffer += piece
        first, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(first)

    def _listen(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(given["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if given["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(given["args"]))
            case "Log.entryAdded" if given["entry"]["level"] in ("error", "warning"):
                self.complaints.append(given["entry"]["text"])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        self.settle()

    def settle(self) -> None:
        """Wait until the page has drawn what was asked for."""
        end = time.monotonic() + 60
        idle = 'document.readyState === "complete" && document.querySelector("main")?.ariaBusy === "false"'
        while not self.evaluate(idle):
            assert time.monotonic() < end, "the page is still drawing"
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def choose(self, name: str, value: str) -> None:
        """Choose an option as a reader does, and wait for the figures."""
        self.evaluate(
            f"""(() => {{ const select = document.querySelector('select[name="{name}"]'); select.value = "{value}";
            select.dispatchEvent(new Event("change", {{ bubbles: true }})); }})()"""
        )
        self.settle()

    def press(self, key: str) -> None:
        codes = {"Tab": 9, "Enter": 13}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key]
            )

    def point(self, x: float, y: float) -> None:
        for step in (3, 1, 0):
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + step, y=y)
