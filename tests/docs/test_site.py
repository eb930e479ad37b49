"""The built site in a browser: links, figures, formulas, search, narrow and dark screens."""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from tests.pages import ROOT

HTML = ROOT / "docs" / "_build" / "html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
KINDS = {
    "landing": "index",
    "guide": "user_guide/index",
    "formulas": "user_guide/how_forgetting_works",
    "tables": "user_guide/results",
    "glossary": "user_guide/glossary",
    "api": "api/index",
    "topic": "api/recommenders",
    "class": "api/generated/sklearn_unlearn.recommenders.ALS",
    "function": "api/generated/sklearn_unlearn.metrics.remaining_gap",
    "gallery": "auto_examples/index",
    "contributors": "extending/index",
    "record": "decisions/0012-gauge",
    "changes": "changes/index",
    "search": "search",
}
# One process builds the site, and tests it.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


@pytest.fixture(scope="module")
def site():
    """Build as `make docs` does: only what changed, and no warning passes."""
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-j", "2", "-b", "html", "docs", HTML]
    built = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return HTML


class Page(HTMLParser):
    """Addresses that a page refers to, and the places that can be referred to in it."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.sources = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(attrs[key] for key in ("id", "name") if attrs.get(key))
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        elif attrs.get("src") or (tag == "link" and attrs.get("href")):
            self.sources.append(attrs.get("src") or attrs["href"])


@pytest.fixture(scope="module")
def parsed(site):
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in paths}


def test_every_internal_link_resolves(parsed):
    broken = []
    for path, page in parsed.items():
        for link in page.links:
            if link.startswith(("http:", "https:", "#", "javascript:")) and link[:1] != "#":
                continue
            address, place = urldefrag(link)
            target = Path(unquote(urljoin(path.as_uri(), address)).removeprefix("file://"))
            known = parsed.get(target)
            is_there = target.exists() if known is None else not place or place in known.ids
            if not is_there:
                broken.append((path.name, link))
    assert len(parsed) > 250
    assert broken == []


def test_nothing_is_taken_for_an_address_of_mail(parsed):
    assert [link for page in parsed.values() for link in page.links if "mailto:" in link] == []


def test_scripts_styles_and_figures_come_from_the_site(parsed):
    sources = {(path, source) for path, page in parsed.items() for source in page.sources}
    assert [source for _, source in sources if "//" in source and "data:" not in source] == []
    lost = [(path.name, source) for path, source in sources if not _exists(path, source)]
    assert lost == []


def _exists(path, source):
    address = source.split("?")[0].split("#")[0]
    return source.startswith("data:") or (path.parent / unquote(address)).exists()


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        launched = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser):
    """Open tabs that may reach this machine alone, and note what goes wrong in them."""
    contexts = []

    def make(width, scheme, said):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda one: one.type == "error" and said.append(one.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("requestfailed", lambda one: _is_lost(one) and said.append(f"failed: {one.url}"))
        context.route(lambda url: "//127.0.0.1:" not in url, lambda route: route.abort())
        return tab

    yield make
    for context in contexts:
        context.close()


def _is_lost(request):
    return request.failure != "net::ERR_ABORTED"  # by going to the next page


# What sticks out of the window, and what a reader would see that is broken.
_LOOK = """() => {
  const root = document.documentElement;
  // Blocks of code may hold LaTeX.
  const text = [...document.querySelectorAll(".bd-article :is(p, li, td, dd)")]
    .filter((one) => !one.querySelector("pre")).map((one) => one.innerText).join(" ");
  const shown = [...document.images].filter((one) => one.checkVisibility());
  const formulas = [...document.querySelectorAll("math")];
  return {
    overflow: root.scrollWidth - root.clientWidth,
    broken: shown.filter((one) => one.complete && !one.naturalWidth).map((one) => one.src),
    empty: formulas.filter((one) => one.checkVisibility() && !one.getBoundingClientRect().width)
      .length,
    formulas: formulas.length,
    errors: document.querySelectorAll("merror").length,
    raw: /\\$\\$|\\\\\\(|\\\\frac|\\\\sum/.test(text),
  };
}"""


def look(tab, url):
    tab.goto(url, wait_until="load")
    # Figures are loaded when they come into view.
    tab.evaluate(
        "Promise.all([...document.images].map((one) => { one.loading = 'eager';"
        " return one.decode().catch(() => 0); }))"
    )
    return tab.evaluate(_LOOK)


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_page_of_each_kind_is_whole(kind, width, scheme, address, open_page):
    said = []
    seen = look(open_page(width, scheme, said), f"{address}/{KINDS[kind]}.html")
    assert said == []
    assert seen["overflow"] <= 0
    assert seen["broken"] == [] and seen["empty"] == seen["errors"] == 0 and not seen["raw"]
    assert (seen["formulas"] > 10) or kind != "formulas"


@needs_chromium
def test_every_page_fits_a_phone_without_errors(site, address, open_page):
    said, wide = [], []
    tab = open_page(400, "light", said)
    for path in sorted(site.rglob("*.html")):
        if "_static" not in path.parts:
            seen = look(tab, f"{address}/{path.relative_to(site).as_posix()}")
            if seen["overflow"] > 0 or seen["broken"] or seen["empty"] or seen["raw"]:
                wide.append((path.name, seen))
    assert said == []
    assert wide == []


@needs_chromium
@pytest.mark.parametrize("kind", ["landing", "class", "formulas"])
def test_page_opened_as_a_file_has_no_errors(kind, site, browser):
    said = []
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.on("console", lambda one: one.type == "error" and said.append(one.text))
    tab.goto((site / f"{KINDS[kind]}.html").as_uri())
    assert tab.locator(".docs-versions .dropdown-item").count() >= 1
    context.close()
    assert said == []


_ALL_SHOWN = """() => {
  const found = document.querySelector(".search-summary")?.textContent.match(/found ([0-9]+)/);
  return found && document.querySelectorAll("ul.search > li").length >= Number(found[1]);
}"""


@needs_chromium
@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("forget", "user_guide/forgetting.html"),
        ("pipeline", "user_guide/pipelines.html"),
        ("glossary", "user_guide/glossary.html"),
    ],
)
def test_search_shows_the_guide_first_and_records_last(asked, first, address, open_page):
    said = []
    tab = open_page(1400, "light", said)
    tab.goto(f"{address}/search.html?q={asked}")
    tab.wait_for_function(_ALL_SHOWN)
    # Entries of the index that are not the main one come after everything, whatever their page.
    entries = tab.locator("ul.search li:not(.kind-index) > a")
    found = entries.evaluate_all("all => all.map((one) => one.pathname)")
    assert found[0] == f"/{first}"
    records = [at for at, path in enumerate(found) if path.startswith("/decisions/")]
    others = [at for at, path in enumerate(found) if not path.startswith("/decisions/")]
    assert not records or max(others) < min(records)
    assert said == []


_CONTRAST = """(selector) => {
  const part = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const canvas = document.createElement("canvas").getContext("2d");
  const numbers = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const ground = (one) => getComputedStyle(one).backgroundColor;
  const shown = [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
  return shown.filter((one) => one.textContent.trim()).map((one) => {
    let below = one;
    while (below.parentElement && numbers(ground(below))[3] < 128) below = below.parentElement;
    const a = light(numbers(getComputedStyle(one).color)), b = light(numbers(ground(below)));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [ratio, one.tagName + "." + one.className + " " + one.textContent.slice(0, 40)];
  });
}"""


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["landing", "formulas", "class", "gallery"])
def test_text_can_be_read(kind, scheme, address, open_page):
    tab = open_page(1400, scheme, [])
    tab.goto(f"{address}/{KINDS[kind]}.html")
    parts = ".bd-article p, .bd-article a, .bd-article code, pre span, math, .docs-versions button"
    ratios = tab.evaluate(_CONTRAST, parts)
    assert len(ratios) > 5
    # The level AA of the guidelines for accessible content.
    assert [entry for entry in ratios if entry[0] < 4.5] == []
