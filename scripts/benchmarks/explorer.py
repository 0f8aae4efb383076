"""How long the explorer takes from a slider that moves to the picture that has changed, in a browser."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.results import Json, Result, report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = Path(__file__).resolve().parents[1] / "view.py"
PAUSE = 0.3  # s between keys, after which the page is quiet
IDLE = "() => window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle"
# Notes when a key goes down, when the named source has other data, and when a canvas was last drawn on.
WATCH = """name => {
  const source = [...Bokeh.documents[0]._all_models.values()].find(model => model.name === name)
  window.times = {pressed: 0, changed: 0, drawn: 0}
  document.addEventListener("keydown", () => { times.pressed = performance.now() }, true)
  source.properties.data.change.connect(() => { times.changed = performance.now() })
  for (const draws of ["stroke", "fill", "fillText", "drawImage", "putImageData"]) {
    const drawn = CanvasRenderingContext2D.prototype[draws]
    CanvasRenderingContext2D.prototype[draws] = function(...all) {
      drawn.apply(this, all)
      times.drawn = performance.now()
    }
  }
}"""


def explorer(checkpoint: str = "forearm", moves: int = 40, json: Json = False) -> None:
    """From a slider's handle moved by the keyboard to the picture of the MUAP painted, in headless Chromium.

    Args:
        checkpoint: Name in checkpoints/ or path of a generator.
        moves: Of each of two sliders, that of the depth and that of the fat, which changes the limb too.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise ValueError("the benchmark of the explorer needs playwright: pip install playwright") from None
    with opened(checkpoint) as address, sync_playwright() as playwright, browser(playwright) as chromium:
        page = chromium.new_page(viewport={"width": 1440, "height": 940})
        visit(page, address)
        results = []
        for name, slider in {"depth": 0, "fat": 7}.items():
            changed, painted = latencies(page, slider, moves).T
            size = f"{len(painted)} moves of the slider of the {name}, {checkpoint}"
            results += [
                Result(f"{name}_painted_median_ms", float(np.median(painted)), "ms", size),
                Result(f"{name}_painted_p95_ms", float(np.percentile(painted, 95)), "ms", size),
                Result(f"{name}_data_median_ms", float(np.median(changed)), "ms", size),
            ]
    report("explorer", results, json, "cpu")


def latencies(page: "Page", slider: int, moves: int, source: str = "generated") -> np.ndarray:
    """Return [move, 2]: ms from a key to the data of a source changed, and to the last stroke of the picture.

    slider: which of the page's sliders is moved, there and back, once the page has been quiet for a while.
    """
    page.evaluate(WATCH, source)
    handle = page.locator(".noUi-handle").nth(slider)
    handle.focus()
    took = []
    for move in range(moves):
        handle.press("ArrowRight" if move % 20 < 10 else "ArrowLeft")
        page.wait_for_function("() => times.changed > times.pressed && times.drawn > times.changed")
        page.wait_for_timeout(1e3 * PAUSE)
        times = page.evaluate("times")
        took.append([times["changed"] - times["pressed"], times["drawn"] - times["pressed"]])
    return np.array(took)


def visit(page: "Page", address: str) -> None:
    """Open a page of the explorer and wait until it is drawn."""
    page.goto(address)
    page.wait_for_function(IDLE)
    page.wait_for_timeout(500)


def executable(playwright: "Playwright") -> str | None:
    """Return the Chromium on the path, or playwright's own where that is installed."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    own = playwright.chromium.executable_path
    return found or (own if Path(own).is_file() else None)


@contextmanager
def browser(playwright: "Playwright") -> "Iterator[Browser]":
    """Give a headless Chromium. Raises ValueError where there is none."""
    path = executable(playwright)
    if path is None:
        raise ValueError(f"no Chromium: none of {', '.join(BROWSERS)} on the path, nor playwright's own")
    launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    try:
        yield launched
    finally:
        launched.close()


@contextmanager
def opened(shown: str) -> Iterator[str]:
    """Give the address at which the explorer shows a recording or a generator, in a process of its own.

    Raises ValueError with what it said instead.
    """
    command = [sys.executable, "-u", str(PROGRAM), shown, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            said = process.stdout.readline()
            if not said.startswith("http"):
                raise ValueError(f"the explorer did not start: {said}{process.stderr.read()}".strip())
            yield said.split()[0]
        finally:
            process.terminate()
