"""Questions by mouse and by keyboard, and without scripts: the quiz, and exercises to predict first. Slides too."""

import re

import pytest
import yaml

from anytime_study.studies.study import ROOT

pytestmark = pytest.mark.browser

HTML = ROOT / "_build/html"
STORY = [entry["file"] for entry in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"][0]["chapters"]]


@pytest.fixture
def quiz(tab):
    tab.open("book/quiz.html")
    tab.page.wait_for_selector(".quiz-score")
    return tab.page


def score(page):
    return page.locator(".quiz-score").inner_text()


def test_the_first_answer_counts_and_every_answer_is_told_why(quiz):
    question = quiz.locator(".quiz-question").first
    assert question.get_by_role("radiogroup").count() == 1
    question.get_by_role("radio").nth(0).check()
    assert "No. A contract tells you the time beforehand." in question.get_by_role("status").inner_text()
    assert score(quiz) == "0 of 1 right, 19 to go."
    question.get_by_role("radio").nth(1).check()
    assert question.get_by_role("status").inner_text().startswith("Right.")
    assert score(quiz) == "0 of 1 right, 19 to go."
    quiz.get_by_role("button", name="Start again").click()
    assert score(quiz) == "0 of 0 right, 20 to go."
    assert quiz.locator("input:checked").count() == 0


def test_all_right_answers_by_keyboard_are_twenty(quiz):
    for question in quiz.locator(".quiz-question").all():
        right = int(re.search(r"quiz-right-(\d)", question.get_attribute("class"))[1])
        question.get_by_role("radio").nth(right - 1).focus()
        quiz.keyboard.press("Space")
    assert score(quiz) == "20 of 20 right. That was the last question."


def test_without_scripts_answers_are_folded_away(browser, pages):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((HTML / "book/quiz.html").as_uri())
    assert page.locator(".quiz-question details").count() == 20
    assert page.locator(".quiz-question details[open]").count() == 0
    page.context.close()


@pytest.mark.parametrize("chapter", STORY)
def test_a_chapter_shows_what_happens_after_the_prediction_by_keyboard_alone(tab, axe_faults, chapter):
    tab.open(f"{chapter}.html")
    page, exercise = tab.page, tab.page.locator(".exercise.predict")
    exercise.locator("button").wait_for()
    solution, before = page.locator(".exercise.predict + .solution"), list(tab.complaints)
    assert not solution.is_visible()
    assert page.locator(".exercise.predict + .solution .explorable").count() == 0  # nothing runs
    assert exercise.locator("button").is_disabled()
    exercise.locator("input").first.focus()
    page.keyboard.press("Space" if exercise.get_by_role("radio").count() else "ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert solution.is_visible()
    assert exercise.locator("input").first.is_disabled()
    assert exercise.locator("button").count() == 0
    solution.locator(".explorable[data-ready]").wait_for()
    page.wait_for_function(
        "() => /^You (were|said)/.test(document.querySelector('.exercise.predict .told').textContent)"
    )
    page.wait_for_function("() => document.querySelector('.exercise.predict + .solution .exp-why').textContent")
    page.wait_for_function("() => !document.querySelector('.exp-why').textContent.includes('networks run')")
    assert tab.complaints == before
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function("(theme) => document.documentElement.dataset.theme === theme", arg=theme)
        page.wait_for_timeout(400)
        assert axe_faults(page, ".exercise.predict", ".exercise.predict + .solution") == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_without_scripts_a_solution_is_folded_away(browser, pages):
    page = browser.new_context(java_script_enabled=False).new_page()
    for chapter in STORY:
        page.goto((HTML / f"{chapter}.html").as_uri())
        assert page.locator(".exercise.predict li").first.is_visible()
        assert page.locator(".exercise.predict + .solution details").get_attribute("open") is None
    page.context.close()


@pytest.mark.parametrize("session", range(1, 7))
def test_slides_open_without_a_complaint_and_none_overflows(tab, session):
    page = HTML / f"_static/slides/session_{session}.html"
    if not page.is_file():
        pytest.skip("no slides (make book)")
    tab.open(page.relative_to(HTML).as_posix())
    slides = tab.page.evaluate("Reveal.getTotalSlides()")
    assert 9 <= slides <= 11
    too_high = []
    for _ in range(slides):
        tab.page.wait_for_timeout(100)
        if tab.page.evaluate("Reveal.getCurrentSlide().scrollHeight") > 700:
            too_high.append(tab.page.evaluate("Reveal.getCurrentSlide().querySelector('h2').textContent"))
        tab.page.evaluate("Reveal.next()")
    assert too_high == []
    assert tab.complaints == []
