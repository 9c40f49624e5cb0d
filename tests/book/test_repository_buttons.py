"""The book leads to its repository only where the publishing environment names it."""

import pytest

from anytime_study.pages.repository_buttons import buttons


@pytest.mark.parametrize("environment", [{}, {"BOOK_REPOSITORY": " "}, {"BOOK_BRANCH": "main"}])
def test_without_an_address_there_are_no_buttons(environment):
    assert buttons(environment) == {}


@pytest.mark.parametrize(
    "address", ["https://github.com/a-b/c.d", "https://github.com/a-b/c.d/", "https://github.com/a-b/c.d.git"]
)
def test_an_address_gives_buttons_to_the_repository_and_its_issues(address):
    assert buttons({"BOOK_REPOSITORY": address}) == {
        "repository_url": "https://github.com/a-b/c.d",
        "repository_branch": "main",
        "use_repository_button": True,
        "use_issues_button": True,
    }


def test_the_branch_may_be_named():
    environment = {"BOOK_REPOSITORY": "https://gitlab.com/group/below/name", "BOOK_BRANCH": "release/1"}
    assert buttons(environment)["repository_branch"] == "release/1"


@pytest.mark.parametrize(
    "address", ["owner/name", "http://github.com/a/b", "https://github.com/a", "https://github.com/a/b c"]
)
def test_what_is_no_address_of_a_repository_is_refused(address):
    with pytest.raises(ValueError, match="BOOK_REPOSITORY: expected an address such as"):
        buttons({"BOOK_REPOSITORY": address})
