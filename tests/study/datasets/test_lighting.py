import pytest
import torch

from anytime_study.datasets.lighting import COMPONENTS, VARIANCES, RandomLighting

GREY = torch.full((3, 2, 2), 128, dtype=torch.uint8)


def shifts(count, deviation=0.1):
    torch.manual_seed(0)
    lighting = RandomLighting(deviation)
    return torch.stack([lighting(GREY)[:, 0, 0].float() - 128 for _ in range(count)])


def test_components_are_directions_at_right_angles():
    torch.testing.assert_close(COMPONENTS.T @ COMPONENTS, torch.eye(3), rtol=0, atol=1e-3)


def test_all_pixels_of_an_image_shift_alike():
    torch.manual_seed(0)
    shifted = RandomLighting()(GREY)
    assert (shifted.dtype, shifted.shape) == (torch.uint8, GREY.shape)
    assert (shifted == shifted[:, :1, :1]).all()
    assert not torch.equal(shifted, GREY)


def test_shifts_vary_along_the_components_as_said():
    found = shifts(4000) @ COMPONENTS / 255
    expected = 0.1 * VARIANCES
    rounding = 12**-0.5 / 255  # deviation of a level's rounding, which the weakest component feels
    torch.testing.assert_close(found.std(dim=0), (expected**2 + rounding**2).sqrt(), rtol=0.05, atol=0)
    assert found.mean(dim=0).abs().max() < 0.002
    assert torch.equal(shifts(3, deviation=0.0), torch.zeros(3, 3))


@pytest.mark.parametrize("level", [0, 255])
def test_levels_do_not_wrap(level):
    torch.manual_seed(0)
    lighting, image = RandomLighting(), torch.full((3, 1, 1), level, dtype=torch.uint8)
    assert all(abs(int(value) - level) < 60 for _ in range(100) for value in lighting(image).flatten())
