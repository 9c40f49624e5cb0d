"""The explorables in Chromium: their formulas are the package's, their data the records', and a keyboard moves them."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from anytime_study.pages.stop_it_yourself import SCRIPT, data_script, explorables
from anytime_study.theory.geometric_mean import adaloss_fixed_point, inverse_weights
from anytime_study.theory.linear_residual import TwoExits, linear_residual

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = """() => axe.run(document, { resultTypes: ["violations"], preload: false }).then((result) =>
  result.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html} ${node.failureSummary}`)))"""
NAMES = ("two-exits", "played-back", "paired-seeds")
KINDS = {
    "garments": (
        "Fashion-MNIST",
        "fashion-mnist-resann-const-seed0-b457be405d37",
        "fashion-mnist-resann-adaloss-seed0-2baf48492ff7",
    ),
    "digits": ("Optical digits", "digits-resann-const-seed0-fea0af90e3b7", "digits-resann-adaloss-seed0-5db624791810"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorables")
    shutil.copytree(ROOT / "book/_assets/explorables", folder / "explorables")
    kinds = {
        kind: {
            "title": title,
            "networks": [{"name": n, "record": r} for n, r in zip(("CONST", "AdaLoss"), records, strict=True)],
        }
        for kind, (title, *records) in KINDS.items()
    }
    (folder / SCRIPT).write_text(data_script("EXPLORABLES_DATA", explorables(kinds, ROOT / "data/records")))
    elements = "".join(
        f'<div class="explorable" data-explorable="{name}"><p>Needs JavaScript.</p></div>' for name in NAMES
    )
    (folder / "page.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Play</title>'
        f'<main class="bd-content"><h1>Play</h1>{elements}</main>'
        '<script src="explorables/explorable.js" defer></script></html>'
    )
    return folder


@pytest.fixture
def page(browser, site):
    complaints = []
    context = browser.new_context(viewport={"width": 360, "height": 740})
    context.set_offline(True)
    context.route(re.compile(r"^(?!file:)"), lambda route: (complaints.append(route.request.url), route.abort()))
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((site / "page.html").as_uri())
    page.wait_for_function("() => document.querySelectorAll('.explorable[data-ready]').length === 3")
    yield page
    context.close()
    assert complaints == []


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
        toy = TwoExits(rho, sigma2)
        rest = adaloss_fixed_point(linear_residual(2, correlation=rho, sigma2=sigma2), floor=gamma, tolerance=1e-13)
        u = [toy.at((1, 1)), toy.adaloss, rest[0] - 1]
        weights = inverse_weights(np.array([0.3, 0.2]), normaliser="max", floor=gamma)
        expected.append([*u, *toy.losses(u).flatten(), *toy.optima, *weights])
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


def test_the_seeds_shown_are_the_recorded_ones(page):
    shown = json.loads(page.locator("[data-explorable=paired-seeds]").get_attribute("data-shown"))
    data = page.evaluate("() => EXPLORABLES_DATA.pairedSeeds")
    records = {
        path: json.loads(path.read_text()) for path in (ROOT / "data/records/laptop").glob("fashion-mnist-resann-*")
    }
    for weighting, errors in zip(("const", "adaloss"), data["errors"], strict=True):
        known = {
            (run["config"]["seed"], run["test"]["error"][-1])
            for run in records.values()
            if run["config"]["weighting"] == weighting
        }
        assert set(zip(data["seeds"], errors, strict=True)) <= known
    first, second = 100 * np.array(data["errors"])
    assert shown[1]["middle"] == pytest.approx((second - first).mean())
    assert len(data["seeds"]) >= 5


def test_a_training_is_played_back_by_keyboard_to_its_last_epoch(page):
    root = page.locator("[data-explorable=played-back]")
    scrubber = root.locator("input[type=range]")
    scrubber.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert root.get_attribute("data-epoch") == "2"
    page.keyboard.press("End")
    record = json.loads((ROOT / f"data/records/laptop/{KINDS['garments'][2]}.json").read_text())
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


def test_keys_move_the_two_exits_and_the_seeds(page):
    for name in ("two-exits", "paired-seeds"):
        root = page.locator(f"[data-explorable={name}]")
        for slider in root.locator("input[type=range]").all():
            before = root.get_attribute("data-shown")
            slider.focus()
            page.keyboard.press("ArrowLeft")
            assert root.get_attribute("data-shown") != before
            assert slider.get_attribute("aria-valuetext")
    page.wait_for_function("() => [...document.querySelectorAll('[aria-live]')].every((one) => one.textContent)")


def test_axe_finds_nothing_and_a_phone_is_wide_enough(page):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-core is not installed (make install)")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(AXE)
    assert found == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
