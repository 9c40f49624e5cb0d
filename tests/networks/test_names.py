import pytest

from anytime_core.networks.names import network_options, short_name


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
