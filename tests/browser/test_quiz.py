"""The quiz by mouse and by keyboard, and without scripts; slides that show their live elements."""

import re

import pytest

from anytime_study.studies.study import ROOT

pytestmark = pytest.mark.browser

HTML = ROOT / "_build/html"


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
