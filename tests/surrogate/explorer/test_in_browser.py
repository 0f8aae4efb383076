"""The explorer in headless Chromium: nothing from elsewhere, no errors, and a picture that follows."""

import asyncio
import io
import sys
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np
import pytest
from matplotlib.image import imread
from playwright.sync_api import sync_playwright

from surrogate.evaluation.pictures import titled
from surrogate.explorer.pages import page_of_recording
from surrogate.explorer.server import server

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

from benchmarks.explorer import BROWSERS, browser, executable, opened, visit  # noqa: E402

MODEL = "[...Bokeh.documents[0]._all_models.values()].find(model => model.name === '{}')"
SIZE = {"width": 1440, "height": 940}


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        if executable(playwright) is None:
            pytest.skip(f"no Chromium: none of {', '.join(BROWSERS)} on the path, nor playwright's own")
        with browser(playwright) as launched:
            yield launched


class Visit:
    """A page with everything that it asked for and complained of."""

    def __init__(self, chromium, address):
        self.page, self.address = chromium.new_page(viewport=SIZE), address
        self.asked, self.errors = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        visit(self.page, address)

    def column(self, source, name):
        """A column of a source, as the page has it."""
        model = MODEL.format(source)
        flat = "all => Array.from(ArrayBuffer.isView(all) ? all : all.flatMap(part => Array.from(part)))"
        return np.array(self.page.evaluate(f"({flat})({model}.data['{name}'])"))

    def changes(self, source, name, step):
        """The column of a source and a picture of the page, before and after a step."""
        before, seen = self.column(source, name), self.page.screenshot()
        model = MODEL.format(source)
        self.page.evaluate(
            f"window.changed = 0; {model}.properties.data.change.connect(() => {{ window.changed += 1 }})"
        )
        step()
        self.page.wait_for_function("window.changed > 0")
        self.page.wait_for_timeout(500)
        return before, self.column(source, name), seen, self.page.screenshot()

    def is_clean(self):
        """Whether all that was asked for is on this machine, and nothing went wrong."""
        mine = (self.address, self.address.replace("http", "ws"), "data:", f"blob:{self.address}")
        elsewhere = [url for url in self.asked if not url.startswith(mine)]
        assert elsewhere == []
        assert self.errors == []
        return len(self.asked) > 5


@pytest.fixture(scope="module")
def generator_page(chromium):
    with opened("forearm") as address:
        yield Visit(chromium, address)


@pytest.fixture(scope="module")
def recording_page(chromium, recording):
    with served(page_of_recording(recording, "demo")) as address:
        yield Visit(chromium, address)


@contextmanager
def served(page):
    """The address of a page served by a thread of this process, for starting another takes long."""
    ready = Queue()

    def serve():
        asyncio.set_event_loop(asyncio.new_event_loop())
        made = server(page, "test")
        ready.put(made)
        made.io_loop.start()

    thread = Thread(target=serve, daemon=True)
    thread.start()
    made = ready.get(timeout=30)
    yield f"http://localhost:{made.port}"
    made.io_loop.add_callback(made.io_loop.stop)
    thread.join()


def differing(one, other):
    """The part of the pixels of two pictures that differ."""
    a, b = (imread(io.BytesIO(picture)) for picture in (one, other))
    return float((np.abs(a - b).max(2) > 0.02).mean())


@pytest.mark.parametrize("slider", ["depth", "angle", "fat_thickness", "conduction_velocity"])
def test_a_slider_moves_the_picture(generator_page, slider):
    value = f"{MODEL.format(slider)}.value"
    at = generator_page.page.evaluate(value)
    handles = generator_page.page.locator(".noUi-handle")
    order = {"depth": 0, "angle": 1, "conduction_velocity": 4, "fat_thickness": 7}

    def step():
        handles.nth(order[slider]).focus()
        for _ in range(8):
            handles.nth(order[slider]).press("ArrowRight")

    before, after, seen, seen_after = generator_page.changes("map", "image", step)
    assert generator_page.page.evaluate(value) > at
    assert np.abs(after - before).max() > 1e-3 * before.max()
    assert differing(seen, seen_after) > 0.002
    assert generator_page.is_clean()


def test_what_the_page_shows_is_the_generators(generator_page, forearm):
    shown = {
        item.name: generator_page.page.evaluate(f"{MODEL.format(item.name)}.value")
        for item in forearm.conditions.items
    }
    muap = forearm.sample({name: value / titled(name)[1] for name, value in shown.items()})[0]
    np.testing.assert_allclose(
        generator_page.column("map", "image"), 1e6 * np.ptp(muap, axis=2).ravel(), rtol=1e-5
    )


def test_a_number_beyond_the_training_data_is_refused_on_the_page(generator_page):
    field = generator_page.page.locator("input.bk-input[type=text]").nth(1)
    before = field.input_value()
    field.fill("99")
    field.press("Enter")
    said = generator_page.page.get_by_text("the generator was trained on")
    said.wait_for()
    assert "depth is 0.099 m" in said.inner_text()
    field.fill(before)
    field.press("Enter")
    said.wait_for(state="detached")
    assert generator_page.is_clean()


def test_a_recording_plays(recording_page):
    def play():
        recording_page.page.get_by_title("Play", exact=True).or_(
            recording_page.page.locator("button.play")
        ).first.click()

    recording_page.page.locator("button.first").click()
    recording_page.page.wait_for_timeout(500)
    before, after, seen, seen_after = recording_page.changes("rms", "image", play)
    assert np.abs(after - before).max() > 0
    assert differing(seen, seen_after) > 0.002
    assert recording_page.is_clean()


def test_a_motor_unit_is_chosen_from_the_table(recording_page):
    rows = recording_page.page.locator(".slick-row")

    def choose():
        rows.nth(4).locator(".slick-cell").first.click()

    before, after, seen, seen_after = recording_page.changes("generated", "y", choose)
    assert after.shape != before.shape or np.nanmax(np.abs(after - before)) > 1e-3
    assert differing(seen, seen_after) > 0.0005
    assert recording_page.is_clean()


def test_data_is_saved_by_the_browser(generator_page, recording_page):
    for visited, named in ((generator_page, "forearm_muap.npz"), (recording_page, "demo.npz")):
        with visited.page.expect_download() as download:
            visited.page.get_by_text("data (NPZ)").click()
        assert download.value.suggested_filename == named
        assert "V" in str(np.load(download.value.path())["units"])
        assert visited.is_clean()
