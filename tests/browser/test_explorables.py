"""The explorables in Chromium: their formulas are the package's, their data the records', and a keyboard moves them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from anytime_study.pages.stop_it_yourself import write_scripts
from anytime_study.theory.geometric_mean import adaloss_fixed_point, inverse_weights
from anytime_study.theory.linear_residual import linear_residual, two_exits, two_exits_under_adaloss

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
CURVES = [
    {"name": "one", "kind": "const", "costs": [1, 2, 4], "errors": [50, 30, 20]},
    {"name": "other", "kind": "adaloss", "costs": [1.5, 3], "errors": [40, 25]},
]
DATA = {
    "two-exits": "",
    "played-back": "",
    "paired-seeds": "",
    "exit-weights": 'data-losses="[2, 1, 0.5]" data-last="0.05" data-offset="1"',
    "where-you-stop": "",
    "stop-curves": f"data-curves='{json.dumps({'x': 'cost', 'budget': 2, 'curves': CURVES})}'",
    "twelve-images": 'data-limit="0.5"',
}
KINDS = {
    kind: {name: ROOT / f"data/models/{stem}-resann-{name.lower()}" for name in ("CONST", "AdaLoss")}
    for kind, stem in (("digits", "digits"), ("garments", "fashion-mnist"))
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with a page of all explorables, and what the networks in it are."""
    folder = tmp_path_factory.mktemp("explorables")
    shutil.copytree(ROOT / "book/_assets", folder, ignore=shutil.ignore_patterns("mathjax"), dirs_exist_ok=True)
    images = json.loads((ROOT / "data/stop_it_yourself.json").read_text())
    kinds = write_scripts(KINDS, images, folder, ROOT / "data/records")
    elements = "".join(
        f'<div class="explorable" data-explorable="{name}" {data}><p>Needs JavaScript.</p></div>'
        for name, data in DATA.items()
    )
    (folder / "page.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Play</title>'
        f'<main class="bd-content"><h1>Play</h1>{elements}</main>'
        '<script src="explorables/explorable.js" defer></script></html>'
    )
    return folder, kinds


@pytest.fixture
def page(open_file, site):
    page = open_file(site[0] / "page.html", viewport={"width": 360, "height": 740})
    page.wait_for_function(f"() => document.querySelectorAll('.explorable[data-ready]').length === {len(DATA)}")
    page.wait_for_selector("[data-explorable=twelve-images][data-shown]")  # the networks have run
    return page


def set_slider(root, value):
    root.locator("input[type=range]").first.evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", float(value)
    )


def test_two_exits_are_those_of_the_theory_at_200_random_settings(page):
    generator = np.random.default_rng(0)
    settings = [
        (float(generator.uniform(0.05, 0.95)), float(10 ** generator.uniform(-3, 0)), float(generator.uniform(0, 1)))
        for _ in range(200)
    ]
    found = page.evaluate(
        """(settings) => settings.map(([rho, sigma2, gamma]) => {
          const { optima, losses, at, weights, adaloss, geometric } = TwoExits;
          const u = [at(rho, 1, 1), geometric(rho, sigma2), adaloss(rho, sigma2, gamma)];
          return [u, ...u.map((one) => losses(rho, sigma2, one)), optima(rho, sigma2), weights([0.3, 0.2], gamma)]
            .flat();
        })""",
        settings,
    )
    expected = []
    for rho, sigma2, gamma in settings:
        toy = two_exits(rho, sigma2)
        rest = adaloss_fixed_point(linear_residual(2, correlation=rho, sigma2=sigma2), floor=gamma, tolerance=1e-13)
        u = [*toy.minimiser([1, 1]), *two_exits_under_adaloss(rho, sigma2), rest[0] - 1]
        weights = inverse_weights(np.array([0.3, 0.2]), normaliser="max", floor=gamma)
        expected.append([*u, *toy.losses(np.array(u)[:, None]).flatten(), *toy.optima, *weights])
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


def test_intervals_are_those_of_scipy_at_200_random_settings(page):
    generator = np.random.default_rng(1)
    pairs = [generator.normal(size=(2, generator.integers(3, 17))).tolist() for _ in range(200)]
    found = page.evaluate(
        """(pairs) => pairs.map(([a, b]) => [PairedSeeds.paired(a, b, EXPLORABLES_DATA.t95),
          PairedSeeds.unpaired(a, b, EXPLORABLES_DATA.t95)].flatMap(({ low, high }) => [low, high]).concat(
          PairedSeeds.correlation(a, b)))""",
        pairs,
    )
    for got, (a, b) in zip(found, pairs, strict=True):
        paired = scipy.stats.ttest_rel(b, a).confidence_interval(0.95)
        unpaired = scipy.stats.ttest_ind(b, a).confidence_interval(0.95)
        np.testing.assert_allclose(got, [*paired, *unpaired, np.corrcoef(a, b)[0, 1]], atol=1e-6)


def test_simulated_runs_share_as_much_chance_as_they_say(page):
    for shared in (0, 0.5, 0.9):
        first, second = np.array(page.evaluate("(shared) => PairedSeeds.simulate(20000, shared, 0.5, 1)", shared))
        assert np.corrcoef(first, second)[0, 1] == pytest.approx(shared, abs=0.02)
        assert (second - first).mean() == pytest.approx(0.5, abs=0.05)
        assert first.std() == pytest.approx(1, abs=0.02)


def test_the_seeds_shown_are_those_of_the_exit_that_is_chosen(page):
    root = page.locator("[data-explorable=paired-seeds]")
    for setting, found in enumerate(page.evaluate("() => EXPLORABLES_DATA.pairedSeeds")):
        for place, exit_index in enumerate((0, -1)):
            root.locator("select").select_option(str(2 * setting + place))
            const, adaloss = 100 * np.array(found["errors"])[:, :, exit_index]
            shown = json.loads(root.get_attribute("data-shown"))[1]
            expected = scipy.stats.ttest_rel(adaloss, const)
            assert shown["middle"] == pytest.approx((adaloss - const).mean())
            assert [shown["low"], shown["high"]] == pytest.approx(expected.confidence_interval(0.95), abs=1e-6)


def test_a_training_is_played_back_by_keyboard_to_its_last_epoch(page, site):
    root = page.locator("[data-explorable=played-back]")
    root.locator("select").select_option("garments")
    scrubber = root.locator("input[type=range]")
    scrubber.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert root.get_attribute("data-epoch") == "2"
    page.keyboard.press("End")
    record = json.loads(
        next((ROOT / "data/records").glob(f"*/{site[1]['garments']['networks'][1]['record']}.json")).read_text()
    )
    assert root.get_attribute("data-epoch") == str(len(record["epoch_losses"]))
    text = root.locator(".exp-why").text_content()
    for value in (record["epoch_losses"][-1][0], record["epoch_weights"][-1][0], record["epoch_losses"][-1][-1]):
        assert f"{value:.2g}" in text
    root.locator("select").select_option("digits")
    assert root.get_attribute("data-epoch") == "60"
    root.locator("button").focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('[data-explorable=played-back]').dataset.epoch < 20")
    page.keyboard.press("Space")
    assert root.locator("button").text_content() == "Play"


def test_keys_move_every_slider(page):
    for name in DATA:
        root = page.locator(f"[data-explorable={name}]")
        for slider in root.locator("input[type=range]").all():
            before = root.get_attribute("data-shown"), slider.input_value()
            slider.focus()
            page.keyboard.press("ArrowLeft")
            assert slider.input_value() != before[1]
            assert slider.get_attribute("aria-valuetext")
            if name in ("two-exits", "paired-seeds", "exit-weights", "where-you-stop"):  # others change step by step
                assert root.get_attribute("data-shown") != before[0]
    page.wait_for_function("() => [...document.querySelectorAll('[aria-live]')].every((one) => one.textContent)")


def test_weights_are_those_of_the_theory_at_200_random_settings(page):
    generator = np.random.default_rng(2)
    settings = [(generator.uniform(0.01, 3, 6).tolist(), *generator.uniform(0, 1, 2).tolist()) for _ in range(200)]
    found = page.evaluate("(settings) => settings.map((one) => exitWeights(...one))", settings)
    expected = [
        inverse_weights(np.array(losses) + offset, normaliser="max", floor=floor) for losses, floor, offset in settings
    ]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_whoever_stops_early_or_late_gets_the_interval_of_the_weighted_errors(page):
    root = page.locator("[data-explorable=where-you-stop]")
    const, adaloss = 100 * np.array(page.evaluate("() => EXPLORABLES_DATA.pairedSeeds[0].errors"))
    for power in (-2, -1, 0, 1.5):
        set_slider(root, power)
        often = 2.0 ** (power * np.arange(const.shape[1]))
        one, other = const @ often / often.sum(), adaloss @ often / often.sum()
        interval = scipy.stats.ttest_rel(other, one).confidence_interval(0.95)
        np.testing.assert_allclose(
            json.loads(root.get_attribute("data-shown")), [one.mean(), other.mean(), *interval], atol=1e-6
        )


@pytest.mark.parametrize(("budget", "errors"), [(1.2, [50, None]), (2.5, [30, 40]), (3.5, [30, 25]), (4.2, [20, 25])])
def test_a_network_keeps_its_answer_until_its_next_exit_is_done(page, budget, errors):
    root = page.locator("[data-explorable=stop-curves]")
    set_slider(root, np.log(budget))
    assert json.loads(root.get_attribute("data-shown")) == errors
    assert ("other no answer yet" in root.locator(".exp-why").text_content()) == (errors[1] is None)


def test_the_dozen_is_answered_as_by_pytorch_at_every_budget(page, site):
    root = page.locator("[data-explorable=twelve-images]")
    kind = site[1]["digits"]
    for share in (0, 0.3, 0.5, 1):
        set_slider(root, share)
        reached = [sum(macs <= share * network["macs"][-1] for macs in network["macs"]) for network in kind["networks"]]
        right = [
            sum(exits > 0 and image["answers"][place][exits - 1] == image["label"] for image in kind["images"])
            for place, exits in enumerate(reached)
        ]
        assert json.loads(root.get_attribute("data-shown")) == right
        assert root.locator(".exp-right").count() == sum(right)


# Every mark with the contrast of its colour to the ground, after WCAG 2.2.
CONTRASTS = """(theme) => {
  document.documentElement.dataset.theme = theme;
  document.body.style.cssText = theme === "dark" ? "--pst-color-background: #14181e; --pst-color-text-base: #ced6dd;"
    + "--pst-color-border: #48566b; --pst-color-text-muted: #9ca4af; --pst-color-primary: #528fe4" : "";
  const paper = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    paper.fillStyle = colour;
    paper.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...paper.getImageData(0, 0, 1, 1).data].map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const contrast = (one, other) => Math.max(one / other, other / one);
  return [...document.querySelectorAll(".explorable svg [class]")].map((mark) => {
    const { fill, stroke } = getComputedStyle(mark);
    const ground = getComputedStyle(mark.closest(".explorable")).backgroundColor;
    const colour = mark.tagName === "text" || stroke === "none" ? fill : stroke;
    return [`${mark.tagName}.${mark.className.baseVal}`, contrast(luminance(colour), luminance(ground))];
  });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_and_marks_of_pictures_can_be_seen(page, theme):
    found = page.evaluate(CONTRASTS, theme)
    assert {"rect.exp-adaloss", "circle.exp-const", "text.exp-small", "path.exp-axis"} <= {name for name, _ in found}
    assert [(name, seen) for name, seen in found if seen < (4.5 if name.startswith("text") else 3)] == []


def test_axe_finds_nothing_and_a_phone_is_wide_enough(page, axe_faults):
    assert axe_faults(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
