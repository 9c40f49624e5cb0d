import pytest

from anytime_study.runs.network_names import short_name, sized_name


@pytest.mark.parametrize(
    ("network", "short", "sized"),
    [
        ("resann", "(3, 16)", "resann(n=3, c=16)"),
        ("resann(n=25, s=3)", "(25, 16)", "resann(n=25, c=16, s=3)"),
        ("two_heads(n=2)", "(2, 16)", "two_heads(n=2, c=16)"),
        ("msdnet(s=2)", "msdnet(s=2)", "msdnet(s=2)"),
    ],
)
def test_labels_say_the_size_even_if_it_is_the_default(network, short, sized):
    assert (short_name(network), sized_name(network)) == (short, sized)
