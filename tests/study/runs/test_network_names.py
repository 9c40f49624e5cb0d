import pytest

from anytime_study.runs.network_names import network_options, short_name, sized_name


@pytest.mark.parametrize(
    ("network", "expected"),
    [("resann", (3, 16)), ("resann(n=2)", (2, 16)), ("resann(c=32)", (3, 32)), ("resann(n=25, c=8, s=3)", (25, 8))],
)
def test_options_left_out_have_their_defaults(network, expected):
    options = network_options(network)
    assert (options["n"], options["c"]) == expected
    assert short_name(network) == f"({expected[0]}, {expected[1]})"


def test_a_network_without_both_keeps_its_name():
    assert short_name("msdnet(s=2)") == "msdnet(s=2)"


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("resann", "resann(n=3, c=16)"),
        ("resann(n=25, s=3)", "resann(n=25, c=16, s=3)"),
        ("two_heads(n=2)", "two_heads(n=2, c=16)"),
        ("msdnet(s=2)", "msdnet(s=2)"),
    ],
)
def test_the_size_is_said_even_if_it_is_the_default(network, expected):
    assert sized_name(network) == expected
