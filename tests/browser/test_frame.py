"""What the book's own style sheet and script do on a page: the landing page, the switch for code, boxes that scroll."""

import pytest

pytestmark = pytest.mark.browser

RESULTS = "book/results/does_adaloss_work.html"

# Equations, figures and tables that are wider than their box, by whether the reader sees and reaches that.
BOXES = ".scroll-box, div.math mjx-container, .output.text_html, .pst-scrollable-table-container"
SCROLLING = f"""() => [...document.querySelectorAll(".bd-article :is({BOXES})")]
  .filter((box) => box.scrollWidth > box.clientWidth + 1)
  .map((box) => box.classList.contains("scrolls") && box.tabIndex === 0
    && getComputedStyle(box).backgroundImage.includes("gradient"))"""


@pytest.fixture
def page(tab):
    """The tab, with nothing kept from page to page."""
    tab.open(RESULTS)
    tab.page.evaluate("localStorage.clear()")
    yield tab.page
    tab.page.evaluate("localStorage.clear()")


def test_the_landing_page_is_one_screen(tab):
    tab.open("book/intro.html")
    parts = ("article h1", "article p strong", ".landing figure img", ".doors .sd-card >> nth=2")
    for part in parts:
        box = tab.page.locator(part).first.bounding_box()
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= 900, part
    assert tab.page.locator(".doors a").count() == 3
    words = tab.page.inner_text(".landing")
    assert "equal weights" in words
    assert "{" not in words


def test_code_is_out_of_sight_until_it_is_asked_for_and_outputs_are_not(page, tab):
    tab.open(RESULTS)
    folds, switch = page.locator("details.hide.above-input"), page.get_by_role("button", name="Code")
    assert folds.count() > 3
    assert not any(fold.is_visible() for fold in folds.all())
    assert all(figure.is_visible() for figure in page.locator(".cell_output img").all())
    assert switch.get_attribute("aria-pressed") == "false"
    switch.focus()
    page.keyboard.press("Enter")
    assert switch.get_attribute("aria-pressed") == "true"
    assert page.locator("details.hide.above-input pre").first.is_visible()
    tab.open("book/results/why_and_when.html")  # the choice holds for the next page
    assert page.locator("details.hide.above-input pre").first.is_visible()
    page.get_by_role("button", name="Code").click()
    assert not page.locator("details.hide.above-input").first.is_visible()


def test_without_scripts_every_piece_of_code_has_its_fold(browser, page):
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(page.url)
    assert plain.locator("details.hide.above-input > summary").first.is_visible()
    assert plain.get_by_role("button", name="Code").count() == 0
    context.close()


def test_code_stays_out_of_sight_where_a_browser_keeps_nothing(browser, page):
    context = browser.new_context()
    context.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('none'); } });")
    private = context.new_page()
    private.goto(page.url)
    private.get_by_role("button", name="Code").click()
    assert private.locator("details.hide.above-input pre").first.is_visible()
    context.close()


def test_two_panels_scroll_on_a_phone_in_a_box_that_shows_it(tab):
    tab.open("book/results/larger_or_better.html")
    assert tab.page.evaluate(SCROLLING) == []  # on a desk they fit
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.page.wait_for_timeout(200)
    shown = tab.page.evaluate(SCROLLING)
    assert shown
    assert all(shown)
    picture, caption = (tab.page.locator(f"figure:has(.scroll-box) {part}").first for part in ("img", "figcaption"))
    assert picture.bounding_box()["width"] > 500
    assert caption.bounding_box()["width"] < 390


def test_figures_are_turned_round_in_the_dark_and_photographs_are_not(tab):
    tab.open(RESULTS)
    tab.page.emulate_media(color_scheme="dark")
    tab.page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    look = "(picture) => { const s = getComputedStyle(picture); return [s.filter.split('(')[0], s.backgroundColor]; }"
    drawn = tab.page.locator(".cell_output figure img").first
    assert drawn.evaluate(look) == ["invert", "rgba(0, 0, 0, 0)"]
    drawn.evaluate("(picture) => picture.classList.add('photograph')")
    assert drawn.evaluate(look) == ["none", "rgb(255, 255, 255)"]
