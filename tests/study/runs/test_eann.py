import pytest
import torch

from anytime_study.runs.eann import eann


def test_the_factory_builds_resanns_of_growing_depth():
    net = eann(n=(1, 2), c=4, s=3, num_classes=7, in_channels=1)
    assert net.starts == (0, 1)
    assert [len(segment) for segment in net.segments] == [1 + 3, 1 + 3, 3]  # the first convolution of each member
    assert net(torch.zeros(2, 1, 8, 8)).shape == (3, 2, 7)


@pytest.mark.parametrize("n", [(), (2, 2), (3, 1)])
def test_depths_that_do_not_grow_are_refused(n):
    with pytest.raises(ValueError, match=r"eann n: expected one or more growing numbers, found \("):
        eann(n=n)
