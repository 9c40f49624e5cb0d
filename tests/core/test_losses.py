import math

import pytest
import torch
import torch.nn.functional as F

from anytime_core import cross_entropy_per_exit


def test_by_hand():
    logits = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[math.log(3), 0.0], [0.0, math.log(3)]]])  # [2, 2, 2]
    losses = cross_entropy_per_exit(logits, torch.tensor([0, 0]))
    # exit 1 knows nothing: ln 2; exit 2 says 3/4 for the first image, 1/4 for the second
    expected = torch.tensor([math.log(2), (math.log(4 / 3) + math.log(4)) / 2])
    torch.testing.assert_close(losses, expected)


@pytest.mark.parametrize(("exits", "samples", "classes"), [(1, 1, 2), (1, 5, 10), (4, 1, 3), (9, 32, 100)])
def test_equals_one_call_per_exit_in_value_and_gradient(exits, samples, classes):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(exits, samples, classes, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(classes, (samples,), generator=generator)
    factors = torch.arange(1.0, exits + 1, dtype=torch.float64)
    losses = cross_entropy_per_exit(logits, labels)
    one_by_one = torch.stack([F.cross_entropy(exit_logits, labels) for exit_logits in logits])
    assert losses.shape == (exits,)
    torch.testing.assert_close(losses, one_by_one)
    (gradient,) = torch.autograd.grad(losses @ factors, logits)
    (expected,) = torch.autograd.grad(one_by_one @ factors, logits)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 2, 3), (1, 4, 2), (2, 1, 10)])
def test_each_exit_may_have_labels_of_its_own(shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator)
    labels = torch.randint(shape[2], (shape[1], shape[0]), generator=generator)
    one_by_one = [F.cross_entropy(logits[exit], labels[:, exit]) for exit in range(shape[0])]
    torch.testing.assert_close(cross_entropy_per_exit(logits, labels), torch.stack(one_by_one))
    same = labels[:, :1].expand(-1, shape[0])
    assert torch.equal(cross_entropy_per_exit(logits, same), cross_entropy_per_exit(logits, labels[:, 0]))


@pytest.mark.parametrize("smoothing", [0.0, 0.2, 0.9])
def test_label_smoothing_is_that_of_torch(smoothing):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 8, 5, generator=generator)
    labels = torch.randint(5, (8,), generator=generator)
    losses = cross_entropy_per_exit(logits, labels, label_smoothing=smoothing)
    expected = [F.cross_entropy(exit_logits, labels, label_smoothing=smoothing) for exit_logits in logits]
    torch.testing.assert_close(losses, torch.stack(expected))
    assert torch.equal(losses, cross_entropy_per_exit(logits, labels)) is (smoothing == 0)


def test_the_loss_of_an_exit_moves_that_exit_alone():
    logits = torch.randn(3, 4, 5, requires_grad=True)
    cross_entropy_per_exit(logits, torch.tensor([0, 1, 2, 3]))[1].backward()
    assert logits.grad[1].abs().min() > 0
    assert logits.grad[[0, 2]].count_nonzero() == 0


@pytest.mark.parametrize(
    ("logits", "labels", "found"),
    [
        ((4, 5), (4,), r"\[4, 5\] and \[4\]"),
        ((3, 4, 5), (3,), r"\[3, 4, 5\] and \[3\]"),
        ((3, 4, 5), (12,), r"\[3, 4, 5\] and \[12\]"),
        ((3, 4, 5), (4, 1), r"\[3, 4, 5\] and \[4, 1\]"),
        ((3, 4, 5), (3, 4), r"\[3, 4, 5\] and \[3, 4\]"),
        ((3, 4, 5), (4, 2), r"\[3, 4, 5\] and \[4, 2\]"),
        ((3, 4, 5), (4, 3, 1), r"\[3, 4, 5\] and \[4, 3, 1\]"),
        ((3, 4, 5), (), r"\[3, 4, 5\] and \[\]"),
        ((2, 3, 4, 5), (3,), r"\[2, 3, 4, 5\] and \[3\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(logits, labels, found):
    with pytest.raises(
        ValueError, match=r"expected logits \[K, N, num_classes\] and labels \[N\] or \[N, K\], found " + found
    ):
        cross_entropy_per_exit(torch.zeros(logits), torch.zeros(labels, dtype=torch.int64))


def test_a_loss_per_token_leaves_padding_out():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 5, 7, generator=generator, requires_grad=True)  # [K, N, T, C]
    labels = torch.randint(7, (2, 5), generator=generator)
    labels[0, 3:] = -1
    losses = cross_entropy_per_exit(logits, labels, ignore_index=-1)
    kept = labels != -1
    one_by_one = [F.cross_entropy(exit_logits[kept], labels[kept]) for exit_logits in logits]
    torch.testing.assert_close(losses, torch.stack(one_by_one))
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert not gradient[:, ~kept].any()
    assert cross_entropy_per_exit(logits, torch.full((2, 5), -1), ignore_index=-1).isnan().all()
