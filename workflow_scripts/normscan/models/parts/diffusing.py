"""The diffusion of images: noise of known strength put on, and taken away step by step.

Source: Ho et al. 2020, "Denoising diffusion probabilistic models", Eq. 4, and Song et al. 2021,
"Denoising diffusion implicit models", Eq. 12 without noise (eta 0), on the noise schedules of
``monai.networks.schedulers``. Times count the noisings: at 0 an image is clean, at the last
one (1000) next to nothing is left of it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.networks.schedulers import DDIMScheduler
from torch import Tensor, nn

# Words of this project -> monai's.
SCHEDULES = {"linear": "linear_beta", "cosine": "cosine"}


class Diffusion(nn.Module):
    """How much of an image is left at every time.

    Parameters
    ----------
    times : how often noise is put on.
    schedule : ``linear`` or ``cosine``.
    """

    def __init__(self, times: int, schedule: str):
        super().__init__()
        self.times = times
        left = DDIMScheduler(times, SCHEDULES[schedule]).alphas_cumprod
        self.register_buffer("left", torch.cat([left.new_ones(1), left]), persistent=False)

    def noisy(self, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Images at a time each, of noise of unit variance.

        Parameters
        ----------
        clean, noise : (n, channels, size, size).
        time : (n,), 0 to ``times``.
        """
        image, grain = self._shares(time)
        return image * clean + grain * noise

    def clean_of(self, noisy: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What is left of noisy images without their noise; time at least 1."""
        image, grain = self._shares(time)
        return (noisy - grain * noise) / image

    def noise_of(self, noisy: Tensor, clean: Tensor, time: Tensor) -> Tensor:
        """The noise in noisy images of which the clean ones are known; time at least 1."""
        image, grain = self._shares(time)
        return (noisy - image * clean) / grain

    def denoise(
        self,
        clean_at: Callable[[Tensor, Tensor], Tensor],
        noisy: Tensor,
        start: int,
        steps: int,
        within: Tensor | None = None,
    ) -> Tensor:
        """Clean images from those at time ``start``, in so many equal steps; nothing is random.

        Parameters
        ----------
        clean_at : (noisy images, time (n,)) -> their estimate of the clean ones.
        steps : 1: the first estimate is the result.
        within : pixels (size, size) that are noisy; all others stay as they are. None: all pixels.
        """
        first, count = noisy, len(noisy)
        stops = [round(start * (steps - step) / steps) for step in range(steps + 1)]
        for time, later in zip(stops, stops[1:]):
            now = torch.full((count,), time, device=noisy.device)
            clean = clean_at(noisy, now)
            then = torch.full((count,), later, device=noisy.device)
            noisy = self.noisy(clean, self.noise_of(noisy, clean, now), then)
            if within is not None:
                noisy = torch.where(within, noisy, first)
        return noisy

    def _shares(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of the image and of the noise (n, 1, 1, 1)."""
        left = self.get_buffer("left")[time].view(-1, 1, 1, 1)
        return left.sqrt(), (1 - left).sqrt()


def patch_masks(size: int, patch: int, device: torch.device) -> Tensor:
    """Which pixels each patch of a grid covers (patches, size, size), row by row, boolean."""
    row = torch.arange(size, device=device) // patch
    number = row[:, None] * (size // patch) + row
    count = (size // patch) ** 2
    return number == torch.arange(count, device=device).view(-1, 1, 1)
