"""A headless Chromium that does what it is told: pages under their own policy, real clicks.

Commands of the DevTools protocol go through pipes, so nothing listens on a port and nothing but
Chromium is needed. WebGL runs in software.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SOFTWARE_WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE = 120  # seconds; shaders are compiled on the processor


class Browser:
    """One page in a browser of its own.

    Parameters
    ----------
    profile : an empty folder.
    flags : of Chromium, beside the usual ones.
    """

    def __init__(self, profile: Path, *flags: str):
        read_commands, self._write = os.pipe()
        self._read, write_answers = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        through = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", through, "bash", CHROMIUM, *FLAGS, *flags, "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(read_commands, write_answers),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read_commands)
        os.close(write_answers)
        self._left, self._number, self._session = b"", 0, ""
        self.console: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *reason) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; its answer. What the page says meanwhile is noted in ``console``."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            more = os.read(self._read, 1 << 20) if ready else b""
            assert more, "the browser does not answer"
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        kind, params = event.get("method"), event.get("params", {})
        if kind == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(one.get("value")) for one in params["args"]))
        elif kind == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"]))
        elif kind == "Log.entryAdded":
            self.console.append(params["entry"]["text"])

    def run(self, expression: str) -> Any:
        """Value of an expression in the page (JSON)."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Value of an expression once it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(expression)):
            assert time.monotonic() < end, f"never true: {expression}; {self.console}"
            time.sleep(0.1)
        return value

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.run(f"document.querySelector({selector!r}).textContent")

    def open(self, address: str) -> None:
        """Go to an address and wait until all of it is there."""
        self.call("Page.navigate", url=address)
        self.wait(f"location.href === {address!r} && document.readyState === 'complete'")

    def size(self, width: int, height: int) -> None:
        """The window's, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def without_scripts(self) -> None:
        """Run no script of any page from now on."""
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def place(self, selector: str) -> dict[str, float]:
        """Where an element is in the window: x, y, width, height."""
        return self.run(
            f"(() => {{ const e = document.querySelector({selector!r});"
            "e.scrollIntoView({block: 'center'}); return e.getBoundingClientRect().toJSON(); })()"
        )

    def click(self, selector: str, across: float = 0.5, down: float = 0.5) -> None:
        """Press and release the mouse on an element, at a share of its width and height."""
        at = self.place(selector)
        where = {"x": at["x"] + across * at["width"], "y": at["y"] + down * at["height"]}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def press(self, key: str) -> None:
        """Press and release a key that has no text."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, selector: str) -> bytes:
        """A PNG of an element."""
        at = self.place(selector)
        clip = {"scale": 1, **{key: at[key] for key in ("x", "y", "width", "height")}}
        clip["y"] += self.run("scrollY")
        answer = self.call("Page.captureScreenshot", clip=clip)
        return base64.b64decode(answer["data"])
