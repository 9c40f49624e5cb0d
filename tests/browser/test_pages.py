"""Every page of the built book in a real browser. Each test collects all faults before it fails."""

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"

pytestmark = pytest.mark.browser

# What the theme's own scripts say on every page, with no harm that a reader could notice.
KNOWN_COMPLAINTS = (
    "Identifier 'THEBE_JS_URL' has already been declared",  # Sphinx writes the theme's inline script twice
    "Got invalid theme mode: . Resetting to auto.",  # the first visit: no choice is stored yet
)

# Of the search page alone: Sphinx would cut an excerpt from each page found, and a browser reads no files for a script.
# The titles are found all the same, and on a server there are excerpts too.
KNOWN_COMPLAINTS_OF_SEARCH = ("Failed to fetch", "Access to fetch at 'file:", "net::ERR_FAILED", "not loaded: file:")

# Accessibility faults in what the theme and the extensions write: (rule, selector, page; regular expressions), why.
KNOWN_VIOLATIONS = {
    ("region", r"^\.sidebar-primary-items__start > \.sidebar-primary-item:nth-child\(1\)$", ""): (
        "the theme puts the book's title beside its navigation instead of in it"
    ),
    ("aria-allowed-role", r"^#id\d+$", "references"): "docutils: role doc-biblioentry on a div",
    ("aria-deprecated-role", r"^#id\d+$", "references"): "docutils: role doc-biblioentry, since deprecated by ARIA",
    (
        "aria-required-children",
        r"^\.citation-list$",
        "references",
    ): "docutils: a list of entries, not of items",
}


def unknown(complaints: Iterable[str], known: Iterable[str] = KNOWN_COMPLAINTS) -> list[str]:
    return [text for text in complaints if not any(part in text for part in known)]


def known_violation(page: str, rule: str, selector: str) -> bool:
    return any(
        rule == known and re.search(where, selector) and re.search(on, page) for known, where, on in KNOWN_VIOLATIONS
    )


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(…)`` (WCAG 2.2): 0 is black, 1 is white."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast of two colours (WCAG 2.2), 1 to 21; text needs 4.5."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def faults(found: dict) -> dict:
    return {page: what for page, what in found.items() if what}


def test_contrast_of_hand_computed_colours():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.005)


def test_the_first_page_leads_to_the_landing_page(tab, pages):
    tab.page.goto((HTML / "index.html").as_uri())
    tab.page.wait_for_url("**/book/intro.html")
    assert "Anytime neural networks" in tab.page.title()


def test_no_page_complains_or_asks_the_network(visits):
    assert faults({seen.page: unknown(seen.complaints) for seen in visits}) == {}


def test_every_internal_link_arrives(visits):
    ids = {seen.page: set(seen.read["ids"]) for seen in visits}
    broken = {}
    for seen in visits:
        for link in seen.read["links"]:
            parts = urlsplit(link)
            if parts.scheme != "file":
                continue
            target = Path(unquote(parts.path))
            name = target.relative_to(HTML).as_posix() if target.is_relative_to(HTML) else None
            missing = name is None or not target.is_file()
            if missing or (name in ids and parts.fragment and unquote(parts.fragment) not in ids[name]):
                broken.setdefault(seen.page, []).append(link)
    assert broken == {}


def test_every_picture_is_shown(visits):
    assert faults({seen.page: seen.read["empty_pictures"] for seen in visits}) == {}


def test_equations_are_set(visits):
    if len(visits) > 20:
        assert sum(seen.read["formulas"] for seen in visits) > 100, "is this the whole book?"
    for fault in ("not_set", "mathematical_errors", "raw_mathematics"):
        assert faults({seen.page: seen.read[fault] for seen in visits}) == {}, fault


@pytest.mark.parametrize("screen", ["desk", "phone"])
def test_an_equation_that_is_too_wide_shows_it(visits, screen):
    assert faults({seen.page: seen.cut_off[screen] for seen in visits}) == {}


def test_text_is_readable_in_both_themes(visits):
    for seen in visits:
        light, dark = seen.colours["light"], seen.colours["dark"]
        assert luminance(light["ground"]) > 0.8, seen.page
        assert luminance(dark["ground"]) < 0.1, seen.page
        for colours in (light, dark):
            assert contrast(colours["text"], colours["ground"]) >= 7, (seen.page, colours)


def test_no_page_is_wider_than_a_phone(visits):
    assert faults({seen.page: seen.wide for seen in visits}) == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessibility(visits, theme):
    found = {
        seen.page: [fault for fault in seen.violations.get(theme, []) if not known_violation(seen.page, *fault[:2])]
        for seen in visits
    }
    assert faults(found) == {}


def test_search_finds_a_known_term(tab):
    tab.open("search.html", "?q=geometric")
    tab.page.wait_for_selector("#search-results li a[href*=what_adaloss_does]")
    found = tab.page.eval_on_selector_all("#search-results li a", "links => links.map((link) => link.href)")
    assert any("/book/results/what_adaloss_does.html" in link for link in found), found
    assert unknown(tab.complaints, (*KNOWN_COMPLAINTS, *KNOWN_COMPLAINTS_OF_SEARCH)) == []
