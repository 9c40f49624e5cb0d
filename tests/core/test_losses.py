import math

import pytest
import torch
import torch.nn.functional as F

from anytime_core import cross_entropy_per_exit


@pytest.fixture
def draw():
    return torch.Generator().manual_seed(0)


def test_by_hand():
    logits = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[math.log(3), 0.0], [0.0, math.log(3)]]])  # [2, 2, 2]
    losses = cross_entropy_per_exit(logits, torch.tensor([0, 0]))
    # exit 1 knows nothing: ln 2; exit 2 says 3/4 for the first image, 1/4 for the second
    expected = torch.tensor([math.log(2), (math.log(4 / 3) + math.log(4)) / 2])
    torch.testing.assert_close(losses, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("exits", "samples", "classes"), [(1, 1, 2), (1, 5, 10), (4, 1, 3), (9, 32, 100)])
def test_equals_one_call_per_exit_in_value_and_gradient(exits, samples, classes, smoothing, draw):
    logits = torch.randn(exits, samples, classes, generator=draw, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(classes, (samples,), generator=draw)
    factors = torch.arange(1.0, exits + 1, dtype=torch.float64)
    losses = cross_entropy_per_exit(logits, labels, label_smoothing=smoothing)
    one_by_one = torch.stack([F.cross_entropy(each, labels, label_smoothing=smoothing) for each in logits])
    assert losses.shape == (exits,)
    torch.testing.assert_close(losses, one_by_one)
    (gradient,) = torch.autograd.grad(losses @ factors, logits)
    (expected,) = torch.autograd.grad(one_by_one @ factors, logits)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 2, 3), (1, 4, 2), (2, 1, 10)])
def test_each_exit_may_have_labels_of_its_own(shape, draw):
    logits = torch.randn(shape, generator=draw)
    labels = torch.randint(shape[2], (shape[1], shape[0]), generator=draw)
    one_by_one = [F.cross_entropy(logits[exit], labels[:, exit]) for exit in range(shape[0])]
    torch.testing.assert_close(cross_entropy_per_exit(logits, labels), torch.stack(one_by_one))
    same = labels[:, :1].expand(-1, shape[0])
    assert torch.equal(cross_entropy_per_exit(logits, same), cross_entropy_per_exit(logits, labels[:, 0]))


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        ((4, 5), (4,)),
        *[((3, 4, 5), labels) for labels in [(3,), (12,), (4, 1), (3, 4), (4, 2), (4, 3, 1), ()]],
        ((2, 3, 4, 5), (3,)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(logits, labels):
    with pytest.raises(ValueError, match=r"logits .* and labels ") as refused:
        cross_entropy_per_exit(torch.zeros(logits), torch.zeros(labels, dtype=torch.int64))
    assert str(refused.value).endswith(f"found {list(logits)} and {list(labels)}")


@pytest.mark.parametrize(("label", "ignore_index"), [(-100, None), (3, None), (-1, None), (-100, -1), (3, 4)])
def test_a_label_that_is_no_class_is_refused(label, ignore_index):
    with pytest.raises(ValueError, match=rf"^labels: expected 0 to 2 .* {label} "):
        cross_entropy_per_exit(torch.zeros(2, 3, 3), torch.tensor([0, 1, label]), ignore_index=ignore_index)


@pytest.mark.parametrize("ignore_index", [None, -1])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_mean_over_many_tokens_does_not_overflow_in_half_precision(dtype, ignore_index, draw):
    logits = (8 * torch.randn(1, 16, 1024, 8, generator=draw)).to(dtype)
    labels = torch.randint(8, (16, 1024), generator=draw)
    losses = cross_entropy_per_exit(logits, labels, ignore_index=ignore_index)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, cross_entropy_per_exit(logits.float(), labels), rtol=1e-3, atol=0)


def test_a_loss_per_token_leaves_padding_out(draw):
    logits = torch.randn(3, 2, 5, 7, generator=draw, requires_grad=True)  # [K, N, T, C]
    labels = torch.randint(7, (2, 5), generator=draw)
    labels[0, 3:] = -1
    losses = cross_entropy_per_exit(logits, labels, ignore_index=-1)
    kept = labels != -1
    one_by_one = [F.cross_entropy(exit_logits[kept], labels[kept]) for exit_logits in logits]
    torch.testing.assert_close(losses, torch.stack(one_by_one))
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert not gradient[:, ~kept].any()
    assert cross_entropy_per_exit(logits, torch.full((2, 5), -1), ignore_index=-1).isnan().all()
