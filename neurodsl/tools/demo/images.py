"""The demo's data: scikit-learn's handwritten digits, split once, and their code as random spikes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TEST_IMAGES = 360
"""A fifth of the 1,797 images is kept for testing."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Images `[M, 1, 8, 8]` with intensities from 0 to 1, and their labels `[M]`, for training and for testing."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_digits(seed: int) -> Digits:
    """The 1,797 real images of scikit-learn's `load_digits`, split at random; no network is used.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    """
    from sklearn.datasets import load_digits as bundled_digits

    bundled = bundled_digits()
    images = torch.from_numpy(bundled.images).to(torch.float32).unsqueeze(1) / 16
    labels = torch.from_numpy(bundled.target)
    order = torch.randperm(len(images), generator=generator(seed))
    test, train = order[:TEST_IMAGES], order[TEST_IMAGES:]
    return Digits(images[train], labels[train], images[test], labels[test])


def bernoulli_code(images: Tensor, steps: int, random: torch.Generator) -> Tensor:
    """Spikes `[T, B, 1, H, W]`: at each step a pixel fires with its intensity as the probability."""
    draws = torch.rand((steps, *images.shape), generator=random)
    return (draws < images).to(images.dtype)


def generator(seed: int) -> torch.Generator:
    """A generator of its own, so that nothing else that draws random numbers moves the result."""
    return torch.Generator().manual_seed(seed)
