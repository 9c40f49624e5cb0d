"""*Stop it yourself* by mouse, keyboard, pen and file, on a page opened from disk with the network cut.

The page is made here, so the built book is not needed. The tests of every page look at the element in the book.
"""

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anytime_study.pages.stop_it_yourself import write_scripts

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
# Digits as somebody draws them with a mouse, in strokes of points on a square of 100.
DRAWN = {
    0: [[(50, 5), (30, 15), (22, 50), (30, 85), (50, 95), (70, 85), (78, 50), (70, 15), (50, 5)]],
    1: [[(35, 25), (52, 8), (52, 95)]],
    2: [[(25, 25), (38, 8), (62, 8), (74, 25), (68, 45), (25, 92), (78, 92)]],
    3: [[(25, 12), (60, 8), (72, 25), (60, 45), (42, 48), (62, 52), (76, 72), (60, 92), (25, 90)]],
    4: [[(55, 8), (22, 62), (80, 62)], [(62, 40), (60, 95)]],
    5: [[(72, 8), (32, 8), (28, 45), (55, 40), (74, 60), (66, 88), (26, 92)]],
    6: [[(62, 6), (38, 30), (28, 65), (42, 93), (66, 88), (70, 65), (50, 55), (30, 68)]],
    7: [[(22, 10), (76, 10), (50, 50), (40, 95)]],
    8: [[(52, 48), (30, 30), (40, 8), (64, 8), (70, 28), (52, 48), (28, 72), (42, 94), (64, 92), (74, 72), (52, 48)]],
    9: [[(70, 30), (52, 48), (32, 34), (38, 12), (62, 8), (72, 30), (66, 65), (48, 95)]],
}
# The book's colours in the dark.
DARK = """:root { --pst-color-background: #14181e; --pst-color-text-base: #ced6dd; --pst-color-border: #48566b;
  --pst-color-text-muted: #9ca4af; --pst-color-surface: #29313d; --pst-color-primary: #528fe4 }"""
LONG_TASKS = """() => {
  window.long = [];
  new PerformanceObserver((list) => long.push(...list.getEntries().map((task) => task.duration))).observe({
    type: "longtask",
  });
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with all that the element loads, and its data."""
    folder = tmp_path_factory.mktemp("site")
    kinds = {"photographs": "cifar10", "garments": "fashion-mnist", "digits": "digits"}
    kinds = {
        kind: {name: ROOT / f"data/models/{stem}-resann-{name.lower()}" for name in ("CONST", "AdaLoss")}
        for kind, stem in kinds.items()
    }
    kept = json.loads((ROOT / "data/stop_it_yourself.json").read_text())
    data = write_scripts(kinds, kept, folder, ROOT / "data/records")
    for path in (ROOT / "book/_assets").glob("*.*s"):
        shutil.copy(path, folder)
    for size in ("", ' data-size="small"'):
        (folder / f"{'small' if size else 'full'}.html").write_text(
            '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Stop</title>'
            '<link rel="stylesheet" href="stop-it-yourself.css"><main><h1>Stop</h1>'
            f'<div class="stop-it-yourself"{size}><p>Needs JavaScript.</p></div></main>'
            '<script src="stop-it-yourself.js" defer></script></html>'
        )
    return folder, data


@pytest.fixture
def open_page(open_file, site):
    def open_page(name="full", *, wait=True, **options):
        page = open_file(site[0] / f"{name}.html", **options)
        if wait:
            page.wait_for_selector(".stop-it-yourself[data-phase=ready] .siy-run:enabled")
        return page

    return open_page


def set_slider(page, name, value):
    page.locator(f".siy-{name} input").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )


def run(page):
    page.locator(".siy-run").click()
    page.wait_for_selector("[data-phase=over]")


def said(page):
    """What the exits of each network said, a list of words for each."""
    return page.evaluate("""() => [...document.querySelectorAll(".siy-lane")].map((lane) =>
      [...lane.querySelectorAll(".siy-says b")].map((word) => word.textContent))""")


def expected(kind, image, reach=None):
    return [[kind["classes"][answer] for answer in one[:reach]] for one in image["answers"]]


def test_every_image_gets_the_answers_of_pytorch(open_page, site):
    page = open_page()
    set_slider(page, "pace", 0)
    for name, kind in site[1].items():
        page.locator(f".siy-kind input[value={name}]").check(force=True)
        for place, image in enumerate(kind["images"]):
            page.locator(f".siy-image input[value='{place}']").check(force=True)
            page.wait_for_function(
                "(number) => document.querySelector('.siy-hint').textContent.includes(`image ${number} `)",
                arg=image["number"],
            )
            run(page)
            assert said(page) == expected(kind, image), (name, image["number"])
            truth = rf"^It is an? {re.escape(kind['classes'][image['label']])}\."
            assert re.search(truth, page.locator(".siy-verdict").text_content())
            right = page.evaluate("() => document.querySelectorAll('.siy-chain .siy-right').length")
            assert right == sum(answer == image["label"] for one in image["answers"] for answer in one)


def test_errors_and_weights_shown_are_those_of_the_records(open_page, site):
    page = open_page()
    kind = next(iter(site[1].values()))
    shown = page.locator(".siy-errors").all_text_contents()
    assert [float(re.search(r"([\d.]+) %$", text)[1]) for text in shown] == pytest.approx(
        [100 * share for network in kind["networks"] for share in network["errors"]], abs=0.0501
    )
    weights = page.locator(".siy-weight").all_text_contents()
    assert [float(re.search(r"training ([\d.]+)\.", text)[1]) for text in weights] == pytest.approx(
        [weight for network in kind["networks"] for weight in network["weights"]], abs=0.00501
    )


def test_a_stop_during_a_segment_leaves_the_answer_of_the_exit_before(open_page, site):
    page = open_page()
    set_slider(page, "pace", 300)
    kind = next(iter(site[1].values()))
    for k in (1, 3):
        page.evaluate(
            """(k) => new Promise((done) => {
              const chain = document.querySelector(".siy-chain");
              const look = () => {
                if (!chain.children[k - 1].classList.contains("siy-running")) return requestAnimationFrame(look);
                document.querySelector(".siy-run").click();
                done();
              };
              document.querySelector(".siy-run").click();
              look();
            })""",
            k,
        )
        page.wait_for_selector("[data-phase=over]")
        assert said(page)[0] == expected(kind, kind["images"][0])[0][: k - 1]
        page.wait_for_timeout(500)
        assert len(said(page)[0]) == k - 1  # nothing comes after


def test_the_budget_and_the_confidence_stop_by_themselves(open_page, site):
    page = open_page()
    set_slider(page, "pace", 0)
    kind = next(iter(site[1].values()))
    macs = kind["networks"][0]["macs"]
    for share, reach in ((0, 0), (0.5, sum(cost <= macs[-1] / 2 for cost in macs)), (1, len(macs))):
        set_slider(page, "budget", share)
        run(page)
        assert said(page) == expected(kind, kind["images"][0], reach)
    set_slider(page, "sure", 0.6)
    run(page)
    sure = page.evaluate("""() => [...document.querySelectorAll(".siy-lane")].map((lane) =>
      [...lane.querySelectorAll(".siy-says small")].map((one) => parseInt(one.textContent)))""")
    assert all(max(one[:-1], default=0) <= 60 <= one[-1] for one in sure)
    assert {len(one) for one in sure} != {len(macs)}


def test_the_keyboard_alone_guesses_runs_and_stops(open_page):
    page = open_page()
    focused = "() => document.activeElement.closest('label, p, button')?.className ?? ''"
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
        if "siy-guess" in reached[-1]:
            page.keyboard.press("Space")
            page.keyboard.press("ArrowRight")
        if "siy-buttons" in reached[-1] or page.evaluate("() => document.activeElement.className") == "siy-run":
            break
    assert any("siy-kind" in name for name in reached)
    assert any("siy-image" in name for name in reached)
    page.keyboard.press("Space")
    page.wait_for_selector("[data-phase=running] .siy-spoke")
    page.keyboard.press("Space")
    page.wait_for_selector("[data-phase=over]")
    assert "You were" in page.locator(".siy-verdict").text_content()
    page.wait_for_function("() => /CONST said/.test(document.querySelector('[aria-live]').textContent)")
    assert re.search(r"You .*of 1 right", page.locator(".siy-score").text_content())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('.siy-image input')[1].checked")


def draw(page, strokes):
    box = page.locator(".siy-picture").bounding_box()
    for stroke in strokes:
        for place, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + x / 100 * box["width"], box["y"] + y / 100 * box["height"])
            if place == 0:
                page.mouse.down()
        page.mouse.up()


def open_drawing(page):
    page.locator(".siy-kind input[value=digits]").check(force=True)
    page.locator(".siy-image input[value='-1']").check(force=True)
    page.wait_for_selector(".siy-drawing")
    set_slider(page, "pace", 0)


def test_plain_digits_drawn_by_hand_are_read(open_page):
    page = open_page()
    open_drawing(page)
    right = 0
    for digit, strokes in DRAWN.items():
        page.locator(".siy-next").click()  # it clears
        draw(page, strokes)
        run(page)
        right += sum(words[-1] == str(digit) for words in said(page))
    assert right >= 18


def test_a_digit_can_be_drawn_by_keyboard(open_page):
    page = open_page()
    open_drawing(page)
    page.locator(".siy-picture").focus()
    for key in [*["ArrowUp"] * 9, "Space", *["ArrowDown"] * 18, "Space"]:
        page.keyboard.press(key)
    run(page)
    assert [words[-1] for words in said(page)] == ["1", "1"]


def test_a_readers_own_picture_is_cut_scaled_and_made_grey(open_page):
    page = open_page()
    page.locator(".siy-kind input[value=garments]").check(force=True)
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[:, 20:80] = 200  # all of the middle square
    pixels[20:40, 40:60] = (255, 0, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    page.locator(".siy-image input[value='-1']").check(force=True)
    page.locator(".siy-file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    page.wait_for_selector(".siy-run:enabled")
    shown = page.evaluate("""() => {
      const canvas = document.querySelector(".siy-picture");
      return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
    }""")
    grey = np.array(shown).reshape(28, 28, 4)[:, :, 0]
    assert grey[5, 5] == 55  # a bright border is inverted: garments are bright on black
    assert grey[14, 14] == 255 - round(0.299 * 255)
    run(page)
    assert all(len(words) == 9 for words in said(page))


def test_disturbances_change_the_picture_and_only_it(open_page):
    page = open_page()
    read = """() => {
      const canvas = document.querySelector(".siy-picture");
      return canvas.getContext("2d").getImageData(0, 0, 32, 32).data.filter((_, i) => i % 4 === 0).join();
    }"""
    plain = page.evaluate(read)
    shown = {plain}
    for how in ("noise", "erase", "shift"):
        page.locator("select").select_option(how)
        shown.add(page.evaluate(read))
    assert len(shown) == 4
    page.locator("select").select_option("none")
    assert page.evaluate(read) == plain


def test_no_task_takes_50_ms_and_other_networks_wait_until_they_are_asked_for(quiet, open_page):
    longest = []
    for _ in range(3):  # the quietest of three: the machine has other work too
        page = open_page()
        page.evaluate(LONG_TASKS)
        set_slider(page, "pace", 0)
        run(page)
        assert page.evaluate("() => Object.keys(ANYTIME_NETWORKS)") == ["photographs-const", "photographs-adaloss"]
        longest.append(max(page.evaluate("() => long"), default=0))
        if longest[-1] == 0:
            return
    pytest.fail(f"tasks took {longest} ms")


@pytest.mark.parametrize("name", ["full", "small"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_a_phone_is_wide_enough(open_page, axe_faults, name, theme):
    page = open_page(name, viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", theme)
    if theme == "dark":
        page.add_style_tag(content=DARK)
    for phase in ("ready", "over"):
        if phase == "over":
            run(page)
            page.wait_for_timeout(400)
        assert axe_faults(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360


def test_without_javascript_there_is_a_picture_and_a_sentence(open_page):
    page = open_page(wait=False, java_script_enabled=False)
    assert page.locator(".stop-it-yourself p").text_content() == "Needs JavaScript."
    assert page.locator(".stop-it-yourself").bounding_box()["height"] > 150
