"""The page in a browser without a screen: what is moved there is what the model is asked."""

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from io import BytesIO
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.tasks.exploring.command import subject_of
from ganlab.tasks.exploring.places import Place

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("gradio") is None, reason="no gradio on this machine"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
WAIT = 60_000
"""Milliseconds."""


class Server:
    """`python -m ganlab.explore` in a process of its own, on a free port."""

    def __init__(self, run, folder):
        words = [sys.executable, "-m", "ganlab.explore", f"run={run}", "port=0", "device=cpu"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.line = self.process.stdout.readline()
        found = re.fullmatch(r"explore: (http://127\.0\.0\.1:(\d+))   \(Ctrl-C ends it\)\n", self.line)
        assert found, self.line + self.process.stderr.read()
        self.address, self.port = found[1], int(found[2])

    def end(self):
        """By Ctrl-C: the exit code, and what was printed."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def served(trained, tmp_path):
    """served("model=cgan"): the page of a run of two iterations, and what it shows asked for directly."""
    servers = []

    def serve(*words, names=None):
        options = trained(*words)
        if names:
            rename(tmp_path / "run" / "checkpoints" / "last.ckpt", names)
        (tmp_path / "elsewhere").mkdir()
        server = Server(tmp_path / "run", tmp_path / "elsewhere")
        servers.append(server)
        return server, subject_of(options)

    yield serve
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def rename(path, names):
    """Give the classes of a checkpoint other names."""
    content = torch.load(path, weights_only=True)
    content["ganlab"]["condition_names"] = names
    torch.save(content, path)


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright on this machine")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visit:
    """A page in the browser, and every host that it asked for anything."""

    def __init__(self, browser, address, width=1400, height=1000):
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.page.set_default_timeout(WAIT)
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda opened: self.asked.append(opened.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector('[data-name="shown"] img')

    def source(self, name="shown"):
        return self.page.locator(f'[data-name="{name}"] img').first.get_attribute("src")

    def changed(self, act, name="shown"):
        """The pixels of a picture once an action has changed it."""
        before = self.source(name)
        act()
        self.page.wait_for_function(
            '([name, before]) => document.querySelector(`[data-name="${name}"] img`).src !== before',
            arg=[name, before],
        )
        return pixels(self.source(name))

    def hosts(self):
        return {urlsplit(url).hostname for url in self.asked if urlsplit(url).scheme not in ("data", "blob")}


def pixels(source):
    return np.asarray(Image.open(BytesIO(base64.b64decode(source.partition("base64,")[2]))))


def picture(html, name="shown"):
    """The pixels that the views make for that name."""
    return pixels(re.search(f'data-name="{name}"><img[^>]*src="([^"]+)"', html)[1])


def test_a_page_of_a_conditional_model(served, browser, tmp_path):
    server, subject = served("model=cgan", "model.generator.width=8", "model.latent_dim=5")
    views, explorer = subject.views, subject.explorer
    before = sorted(tmp_path.rglob("*"))
    visit = Visit(browser, server.address)
    page = visit.page
    assert page.title() == "cgan on digits · ganlab"
    assert (pixels(visit.source()) == picture(views.shown(Place(condition=0)))).all()

    shown = visit.changed(lambda: page.locator("#axis-1 input[type=range]").fill("2.5"))
    coordinates = (2.5, *explorer.coordinates(Place())[1:])
    moved = Place(coordinates=coordinates, codes=(), condition=0)
    assert (shown == picture(views.shown(moved))).all()

    shown = visit.changed(lambda: page.locator("#condition label", has_text="7").click())
    moved = Place(coordinates=coordinates, codes=(), condition=7)
    assert (shown == picture(views.shown(moved))).all()
    assert page.locator("#near figcaption").count() == 6

    shown = visit.changed(lambda: page.locator("#new-noise").click())
    seed = int(page.locator("#seed input").input_value())
    assert seed != 0 and (shown == picture(views.shown(Place(seed, condition=7)))).all()
    page.get_by_role("tab", name="Many samples").click()
    assert (pixels(visit.source("grid")) == picture(views.grid(seed), "grid")).all()
    told = [float(page.locator(f"#axis-{number} input[type=number]").input_value()) for number in range(1, 6)]
    assert told == explorer.coordinates(Place(seed, condition=7))

    shown = visit.changed(lambda: page.locator("#seed input").fill("5"))
    assert (shown == picture(views.shown(Place(5, condition=7)))).all()
    assert page.locator("#seed input").input_value() == "5"

    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert len(np.unique(np.asarray(Image.open(tmp_path / "page.png")).reshape(-1, 4), axis=0)) > 50
    assert visit.hosts() == {"127.0.0.1"} and visit.complaints == []
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", server.port), timeout=5):
        pass
    assert "http" not in urlopen(server.address, timeout=60).headers["content-security-policy"]
    with pytest.raises(OSError, match="400"):
        urlopen(Request(server.address, headers={"Host": "a.page.of.the.internet"}), timeout=60)
    assert server.end() == (130, "", ""), "with the page open"
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "page.png"]), "nothing is written"


EVIL = "${hurt=1}{{x}}<img src=x onerror=hurt=1>"


def test_names_from_a_strangers_run_stay_text(served, browser):
    server, _ = served("model=cgan", "model.generator.width=8", "model.latent_dim=3", names=[EVIL] * 10)
    page = Visit(browser, server.address).page
    page.locator("#condition label").nth(9).wait_for()  # a control comes when it will, and not with the pictures
    page.locator("#near figcaption").first.wait_for()
    assert set(page.locator("#condition label").all_inner_texts()) == {EVIL}
    assert page.locator("#shown figcaption").inner_text() == f"seed 0, class {EVIL}"
    assert all(told.startswith(EVIL) for told in page.locator("#near figcaption").all_inner_texts())
    assert page.evaluate("window.hurt") is None and page.locator('img[src="x"]').count() == 0


def test_a_walk_between_codes_of_an_infogan(served, browser):
    server, subject = served("model=infogan", "model.generator.width=8", "model.latent_dim=3")
    views, explorer = subject.views, subject.explorer
    visit = Visit(browser, server.address)
    page = visit.page
    start = Place()
    noise, codes = explorer.coordinates(start), explorer.codes(start)
    other = (codes[0] + 1) % 10
    visit.changed(lambda: page.locator("#code-1 label").nth(int(other)).click())
    shown = visit.changed(lambda: page.locator("#code-2 input[type=range]").fill("-1"))
    place = Place(coordinates=tuple(noise), codes=(other, -1.0, codes[2]))
    assert (shown == picture(views.shown(place))).all()
    first, last = explorer.end(start), explorer.end(place)
    page.get_by_role("tab", name="A to B").click()
    visit.changed(lambda: page.locator("#store-b").click(), "walk")
    way = visit.changed(lambda: page.locator("#share input[type=range]").fill("0.25"), "walk")
    assert (way == picture(views.walk(first, last, 0.25), "walk")).all()
    back = visit.changed(lambda: page.locator("#reset").click())
    assert (back == picture(views.shown(start))).all()
    assert visit.complaints == []


def test_a_test_sample_of_an_autoencoder(served, browser):
    server, subject = served("model=vae", "model.latent_dim=3")
    visit = Visit(browser, server.address)
    page = visit.page
    shown = visit.changed(lambda: page.locator("#start label", has_text="a test sample").click())
    assert (shown == picture(subject.views.shown(Place(row=0)))).all()
    visit.changed(lambda: page.locator("#another").click())
    row = int(page.locator("#row input").input_value())
    moved = visit.changed(lambda: page.locator("#axis-2 input[type=range]").fill("-2"))
    coordinates = subject.explorer.coordinates(Place(row=row))
    wanted = subject.views.shown(Place(row=row, coordinates=(coordinates[0], -2.0, coordinates[2])))
    assert (moved == picture(wanted)).all()
    back = pixels(visit.source("given back"))
    assert (back == picture(wanted, "given back")).all()
