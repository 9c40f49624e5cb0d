"""The budget slider answers to keys and mouse, and every number it shows is the one in data/budget_slider.json."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["book/intro.html", "book/results/stop_it_yourself.html"]

pytestmark = pytest.mark.browser

# Every image at every budget in one call: a round trip for each would take minutes.
SHOW_EVERYTHING = """(budgets) => {
  const root = document.getElementById("budget-slider");
  const range = document.getElementById("budget-slider-range");
  const shown = [];
  for (const radio of root.querySelectorAll("[name=budget-slider-image]")) {
    radio.click();
    for (const budget of budgets) {
      range.value = budget;
      range.dispatchEvent(new Event("input"));
      const cells = [...root.querySelectorAll("td[data-field]")].map((cell) =>
        [`${cell.dataset.network}/${cell.dataset.field}`, [cell.textContent, cell.dataset.value]]);
      shown.push({ image: root.dataset.image, budget: Number(root.dataset.budget), cells: Object.fromEntries(cells) });
    }
  }
  return shown;
}"""


@pytest.fixture(scope="module")
def payload() -> dict:
    return json.loads((ROOT / "data/budget_slider.json").read_text(encoding="utf-8"))


@pytest.fixture
def page(tab, request):
    tab.open(request.param)
    tab.page.wait_for_selector("#budget-slider[data-ready]")
    return tab.page


def state(page, name: str) -> str:
    return page.locator("#budget-slider").get_attribute(f"data-{name}")


def budget(page) -> float:
    return float(state(page, "budget"))


def expected_cells(payload: dict, image: dict, budget: float) -> dict[str, list]:
    """Value of every cell: numbers as they are in the data, empty strings where nothing has been reached."""
    cells = {}
    for place, network in enumerate(payload["networks"]):
        reached = sum(macs <= budget * 1e6 for macs in network["macs"])
        values = dict.fromkeys(["answer", "exit", "macs", "milliseconds", "errors"], "")
        shares = [""] * len(payload["classes"])
        if reached:
            exit_ = reached - 1
            times = network["milliseconds"]
            values = {
                "answer": image["answers"][place][exit_],
                "exit": network["exits"][exit_],
                "macs": network["macs"][exit_],
                "milliseconds": times[exit_] if times else "",
                "errors": network["errors"][exit_],
            }
            shares = image["probabilities"][place][exit_]
        values |= {f"class-{number}": share for number, share in enumerate(shares)}
        cells |= {f"{network['name']}/{field}": value for field, value in values.items()}
    return cells


def number(text: str) -> float | str:
    return float(text) if text else ""


@pytest.mark.parametrize("page", PAGES, indirect=True)
def test_every_number_is_the_one_in_the_data(page, payload):
    top, step = payload["budget"]["max"], payload["budget"]["step"]
    budgets = [step * place for place in range(round(top / step) + 1)]
    shown = page.evaluate(SHOW_EVERYTHING, budgets)
    assert [(int(one["image"]), one["budget"]) for one in shown] == [
        (image["number"], value) for image in payload["images"] for value in budgets
    ]
    images = {image["number"]: image for image in payload["images"]}
    for one in shown:
        image = images[int(one["image"])]
        values = {name: number(value) for name, (_, value) in one["cells"].items()}
        assert values == expected_cells(payload, image, one["budget"]), (one["image"], one["budget"])
        for name, (text, value) in one["cells"].items():
            field = name.split("/")[1]
            if field == "answer" and value:
                verdict = "right" if int(value) == image["label"] else "wrong"
                assert payload["classes"][int(value)] in text
                assert verdict in text
            elif value and (field == "errors" or field.startswith("class-")):
                assert float(text.removesuffix(" %")) == pytest.approx(100 * float(value), abs=0.0501)
            elif value and field == "macs":
                assert float(text) == pytest.approx(float(value) / 1e6, abs=0.0501)


@pytest.mark.parametrize("page", PAGES, indirect=True)
def test_keys_move_the_budget_and_the_image(page, payload):
    top, step = payload["budget"]["max"], payload["budget"]["step"]
    page.locator("#budget-slider-range").focus()
    for key, wanted in [("Home", 0), ("ArrowRight", step), ("ArrowLeft", 0), ("End", top), ("ArrowLeft", top - step)]:
        page.keyboard.press(key)
        assert budget(page) == wanted, key
        assert f"{wanted:.1f}" in page.locator("#budget-slider-amount").text_content()
        assert f"{wanted:.1f}" in page.locator("#budget-slider-range").get_attribute("aria-valuetext")
    numbers = [str(image["number"]) for image in payload["images"]]
    page.locator("[name=budget-slider-image]").first.check(force=True)
    assert state(page, "image") == numbers[0]
    page.keyboard.press("ArrowRight")
    assert state(page, "image") == numbers[1]
    assert numbers[1] in page.locator("#budget-slider-shown").text_content()


@pytest.mark.parametrize("page", PAGES, indirect=True)
def test_the_mouse_drags_the_budget(page, payload):
    slider = page.locator("#budget-slider-range")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.9 * box["width"], height)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], height, steps=5)
    page.mouse.up()
    assert budget(page) == pytest.approx(payload["budget"]["max"] / 2, abs=2 * payload["budget"]["step"])


@pytest.mark.parametrize("page", PAGES[:1], indirect=True)
def test_a_run_can_be_interrupted_by_the_keyboard(page):
    button = page.locator("#budget-slider-run")
    button.focus()
    page.keyboard.press("Space")
    assert state(page, "running") == "true"
    page.wait_for_function("() => Number(document.getElementById('budget-slider').dataset.budget) > 1")
    page.keyboard.press("Space")
    assert state(page, "running") == "false"
    stopped = budget(page)
    page.wait_for_function("() => /answer/.test(document.getElementById('budget-slider-status').textContent)")
    assert budget(page) == stopped > 0
