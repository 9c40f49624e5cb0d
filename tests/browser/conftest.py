"""The built book in a real browser, with the network cut: what the tests of this folder look at.

Debian's Chromium is driven by Playwright over the files in `_build/html`. Every page is opened once, and all that the
tests ask about is noted on that visit. One browser and one tab serve them all.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from anytime_core.errors import InputError
from anytime_study.pages.printing import CHROMIUM_ARGUMENTS, MATHEMATICS_SET, find_chromium

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
NOT_LOCAL = re.compile(r"^(?!(file|data|blob):)")  # addresses on the network

# Lazy pictures are loaded too. Text counts as raw mathematics where neither code nor the typeset equation has it.
READ_PAGE = r"""async () => {
  const pictures = [...document.images];
  await Promise.all(pictures.map((picture) => {
    picture.loading = "eager";
    return picture.complete || new Promise((done) => { picture.onload = picture.onerror = done; });
  }));
  const raw = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (/\\[()[\]]/.test(text.data) && !text.parentElement.closest("pre, code, script, style, textarea, mjx-container"))
      raw.push(text.data.trim().slice(0, 80));
  }
  const formulas = [...document.querySelectorAll(".math")];
  return {
    ids: [...document.querySelectorAll("[id], a[name]")].map((element) => element.id || element.name),
    links: [...new Set([...document.querySelectorAll("a[href]")].map((link) => link.href))],
    empty_pictures: pictures.filter((picture) => !picture.naturalWidth).map((picture) => picture.src.slice(0, 120)),
    formulas: formulas.length,
    not_set: formulas.filter((formula) => !formula.querySelector("mjx-container svg"))
      .map((formula) => formula.textContent.slice(0, 80)),
    mathematical_errors: [...document.querySelectorAll("[data-mml-node=merror]")].map((e) => e.textContent),
    raw_mathematics: raw,
  };
}"""

# Equations wider than their box, where nothing tells a reader that there is more.
CUT_OFF = """() => [...document.querySelectorAll(".bd-article .math mjx-container")].filter((formula) =>
  formula.querySelector("svg").getBoundingClientRect().width > formula.parentElement.clientWidth + 1
    && !formula.closest(".scrolls")).map((formula) => formula.parentElement.id || formula.textContent.slice(0, 80))"""

COLOURS = """() => {
  const style = getComputedStyle(document.body);
  return { text: style.color, ground: style.backgroundColor };
}"""

# Taken out before axe looks, for it would take minutes: equations, which MathJax describes itself, and what is made
# alike: all but the first entries of the reference and rows of a table.
PRUNE = """(selectors) => document.querySelectorAll(selectors.join(", ")).forEach((element) => element.remove())"""
PRUNED = ["mjx-container > *", "dl.py ~ dl.py", "tbody tr:nth-child(n + 4)"]

# With preload axe would fetch the style sheets, which a browser refuses for files.
AXE = """([where, rules]) => axe.run(where ?? document, {
  resultTypes: ["violations"], preload: false, ...(rules ? { runOnly: rules } : {}),
}).then((result) => result.violations.flatMap((rule) => rule.nodes.map((node) =>
  [rule.id, node.target.join(" "), node.html.slice(0, 160), node.failureSummary])))"""

# In the dark only the colours are other ones. These pages have between them every kind of content: prose, code, tables,
# exercises, figures, equations, live elements. The others have no other colours of code, so it is taken out there.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
EVERY_KIND = {
    "intro",
    "anytime_prediction",
    "cookbook",
    "rerun",
    "ledger",
    "quick",
    "stop_it_yourself",
    "notation",
    "search",
}

# What sticks out of a phone's screen: not what scrolls within itself, nor the parts of what is already named.
WIDE = """(width) => {
  if (document.documentElement.scrollWidth <= width) return [];
  const cut = (element) => element && (getComputedStyle(element).overflowX !== "visible" || cut(element.parentElement));
  const wide = [...document.querySelectorAll("body *")].filter((element) =>
    element.getBoundingClientRect().right > width + 0.5 && !cut(element.parentElement));
  return [`${document.documentElement.scrollWidth} pixels`, ...wide.filter((e) => !wide.includes(e.parentElement))
    .slice(0, 8).map((e) => `${e.tagName.toLowerCase()}.${e.className}`)];
}"""

# Colours that fade from one theme to the other would be measured half-way.
NO_FADING = "*, *::before, *::after { transition: none !important; animation: none !important; }"


@dataclass
class Visit:
    """What one page showed."""

    page: str  # path below _build/html
    complaints: list[str] = field(default_factory=list)  # of the console, of scripts, of loading
    read: dict = field(default_factory=dict)  # by READ_PAGE
    colours: dict[str, dict[str, str]] = field(default_factory=dict)  # by theme
    violations: dict[str, list[list[str]]] = field(default_factory=dict)  # by theme; see AXE
    wide: list[str] = field(default_factory=list)  # on a phone
    cut_off: dict[str, list[str]] = field(default_factory=dict)  # by screen; see CUT_OFF


class Tab:
    """The one tab. It keeps what the console says and what a page asks of the network."""

    def __init__(self, browser):
        self.complaints: list[str] = []
        context = browser.new_context(viewport=DESK, color_scheme="light")
        context.set_offline(True)
        context.route(NOT_LOCAL, self._refuse)
        self.page = context.new_page()
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"not loaded: {request.url}"))

    def _refuse(self, route):
        self.complaints.append(f"asked the network for {route.request.url}")
        route.abort()

    def open(self, page: str, query: str = "") -> None:
        """Open one page of the book on a desk in the light; its equations are set when this returns."""
        self.complaints.clear()
        self.page.set_viewport_size(DESK)
        self.page.emulate_media(color_scheme="light")
        self.page.goto((HTML / page).as_uri() + query, wait_until="load")
        self.page.wait_for_function(MATHEMATICS_SET)


def visit(tab: Tab, page: str, axe: str) -> Visit:
    """Look at one page: on a desk, on a phone, and then with axe on the desk in the light and in the dark."""
    tab.open(page)
    seen = Visit(page, read=tab.page.evaluate(READ_PAGE))
    seen.cut_off["desk"] = tab.page.evaluate(CUT_OFF)
    tab.page.add_style_tag(content=NO_FADING)
    tab.page.set_viewport_size(PHONE)
    seen.wide = tab.page.evaluate(WIDE, PHONE["width"])
    tab.page.wait_for_timeout(50)  # the page hears of its new size
    seen.cut_off["phone"] = tab.page.evaluate(CUT_OFF)
    tab.page.set_viewport_size(DESK)
    whole = Path(page).stem in EVERY_KIND
    tab.page.evaluate(PRUNE, PRUNED if whole else [*PRUNED, "pre span"])
    tab.page.evaluate(axe)
    for theme, rules in (("light", None), ("dark", COLOUR_RULES)):
        tab.page.emulate_media(color_scheme=theme)
        tab.page.wait_for_function("(theme) => document.documentElement.dataset.theme === theme", arg=theme)
        seen.colours[theme] = tab.page.evaluate(COLOURS)
        if theme == "light" or whole:
            seen.violations[theme] = tab.page.evaluate(AXE, [None, rules])
    seen.complaints = list(tab.complaints)
    return seen


@pytest.fixture(scope="session")
def pages() -> list[str]:
    """All pages of the built book but the first, which only leads to the landing page."""
    if not (HTML / "index.html").is_file():
        pytest.skip("no built book in _build/html (make book)")
    found = [path.relative_to(HTML) for path in sorted(HTML.rglob("*.html"))]
    return [page.as_posix() for page in found if page.parts[0] != "_static" and page.as_posix() != "index.html"]


@pytest.fixture(scope="session")
def browser():
    """The one Chromium: a process can have one driver of it only."""
    try:
        chromium = find_chromium()
    except InputError as error:
        pytest.skip(str(error))
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (make install)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_file(browser):
    """Open a file in a fresh tab, offline, where no code is compiled yet; in the end nothing may have complained."""
    complaints, contexts = [], []

    def open_file(path, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_offline(True)
        context.route(NOT_LOCAL, lambda route: (complaints.append(route.request.url), route.abort()))
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe_script() -> str:
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-core is not installed (make install)")
    return (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def axe_faults(axe_script):
    """What axe finds on a page, or in some places of it; see AXE."""

    def axe_faults(page, *places):
        page.evaluate(axe_script)
        return [fault for where in places or [None] for fault in page.evaluate(AXE, [where, None])]

    return axe_faults


@pytest.fixture
def quiet():
    """Times in milliseconds mean nothing while several others wait for each processor."""
    if os.getloadavg()[0] > 3 * (os.cpu_count() or 1):
        pytest.skip("the machine is too busy to measure times")


@pytest.fixture(scope="session")
def tab(pages, browser):
    return Tab(browser)


@pytest.fixture(scope="session")
def visits(tab, pages, axe_script) -> list[Visit]:
    """Every page, seen once. BROWSER_PAGES=intro,api looks at those alone, while one mends a page."""
    chosen = os.environ.get("BROWSER_PAGES", "").split(",")
    return [visit(tab, page, axe_script) for page in pages if chosen == [""] or Path(page).stem in chosen]
