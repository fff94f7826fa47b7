"""A real browser, as a person would use it: clicks, keys, the wheel."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.equipment.browser import browser as browser
from training.labelling.server import Serving

PATIENCE_NS = 20_000_000_000
SIZE = {"width": 1280, "height": 800}


class Person:
    """Somebody in front of the page. An error in the page's own program fails the test.

    Parameters
    ----------
    browser:
        As the fixture gives it.
    server:
        Whose page is opened.
    ratio:
        Device pixels per CSS pixel.
    """

    def __init__(self, browser, server: Serving, ratio: float = 1, size: dict[str, int] = SIZE) -> None:
        self.context = browser.new_context(viewport=size, device_scale_factor=ratio)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)
        self.page.goto(server.address)
        self.until("Boolean(window.rigpose?.model.bitmap && window.rigpose.model.frameNow)", page=True)

    def _said(self, message) -> None:
        # a request that was refused is told in the page; the browser's own line about it is no error of ours
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert not self.errors

    def key(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where the middle of image pixel (x, y) is drawn, CSS px of the page."""
        left, top = self.page.evaluate(
            """([x, y]) => {
              const { stage } = window.rigpose, [cx, cy] = stage.view.toCanvas(x, y);
              return [(stage.origin[0] + cx) / stage.ratio, (stage.origin[1] + cy) / stage.ratio];
            }""",
            [x, y],
        )
        return left, top

    def click(self, x: float, y: float) -> None:
        """Click the middle of image pixel (x, y)."""
        self.page.mouse.click(*self.at(x, y))

    def zoom(self, scale: float, x: float, y: float) -> None:
        """Show `scale` device px per image px, with (x, y) in the middle."""
        self.page.evaluate(
            """([scale, x, y]) => {
              const { stage } = window.rigpose, { view } = stage;
              view.zoomTo(scale, 0, 0);
              view.place(x, y, view.width / 2, view.height / 2);
              stage.redraw();
            }""",
            [scale, x, y],
        )

    def drawn(self) -> None:
        """Until the screen shows what was asked for."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def colour(self, x: float, y: float) -> list[int]:
        """RGB of the picture as it is drawn at the middle of image pixel (x, y)."""
        return self.page.evaluate(
            """([x, y]) => {
              const { stage } = window.rigpose, at = stage.view.toCanvas(x, y).map(Math.floor);
              return [...stage.picture.getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3);
            }""",
            [x, y],
        )

    def saved(self) -> None:
        """Until every edit is acknowledged."""
        self.until("model.following.outbox.size === 0")

    def shows(self, image: str) -> None:
        """Until this frame is on the screen."""
        self.until(f"model.frameNow?.image === '{image}' && Boolean(model.bitmap ?? model.failure)")

    def until(self, expression: str, *, page: bool = False) -> None:
        """Until an expression is true. (The page's policy forbids the driver's own way, which evaluates.)"""
        until_ns = time.monotonic_ns() + PATIENCE_NS
        while not (self.page.evaluate(f"() => {expression}") if page else self.ask(expression)):
            assert time.monotonic_ns() < until_ns, f"never came true: {expression}"
            self.page.wait_for_timeout(15)

    def sees(self, check: Callable[[], bool]) -> None:
        """Until the page shows it: it draws a moment after it knows."""
        until_ns = time.monotonic_ns() + PATIENCE_NS
        while not check():
            assert time.monotonic_ns() < until_ns, "never seen"
            self.page.wait_for_timeout(15)

    def reads(self, selector: str, text: str) -> None:
        """Until an element's text holds this."""
        self.sees(lambda: text in self.page.inner_text(selector))

    def ask(self, expression: str):
        """A value of the page's program: `model`, `stage` and `settings` are there."""
        names = "const { model, stage, settings } = window.rigpose"
        return self.page.evaluate(f"() => {{ {names}; return {expression}; }}")
