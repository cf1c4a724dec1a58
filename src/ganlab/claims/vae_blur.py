"""Samples of a VAE are blurrier than real images and than a GAN's (Larsen et al. 2016; Dosovitskiy & Brox 2016)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import conv2d

from ganlab.claims.drawing import COLOURS, band, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.image_rows import draw_sheet
from ganlab.claims.lab import Lab
from ganlab.claims.reading import scores, trained_of

ARMS = {
    "vae": ["model.encoder.width=32"],
    "dcgan": [
        *("model=dcgan", "model.generator.width=32", "model.discriminator.width=32"),
        *("model.ema_decay=0.995", "model.instance_noise=0.4", "model.instance_noise_until=1.0"),
        *("optimizer.generator.lr=1e-3", "optimizer.generator.schedule=linear"),
        *("optimizer.discriminator.lr=1e-3", "optimizer.discriminator.schedule=linear"),
    ],
}
REAL, VAE, REBUILT, GAN = "real, held out", "VAE's samples", "VAE's reconstructions", "DCGAN's samples"
COUNT, SHOWN, COLUMNS = 898, 48, 8
LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def investigate(lab: Lab) -> Finding:
    """Train a VAE and a DCGAN on digits for as many iterations, and measure how sharp their samples are."""
    runs = lab.train(ARMS)
    images: dict[str, list[Tensor]] = {kind: [] for kind in (REAL, REBUILT, VAE, GAN)}
    for vae, gan in zip(runs["vae"], runs["dcgan"], strict=True):
        coder, player = trained_of(vae), trained_of(gan)
        real = coder.data.examples(COUNT, "test").samples
        images[REAL].append(real)
        images[REBUILT].append(coder.model.reconstruct(real))
        images[VAE].append(coder.model.sample(len(real), generator=torch.Generator().manual_seed(0)))
        images[GAN].append(player.model.sample(len(real), generator=torch.Generator().manual_seed(0)))
    sharp = {kind: [float(sharpness(one).mean()) for one in seeds] for kind, seeds in images.items()}
    spectra = {kind: [radial_spectrum(one) for one in seeds] for kind, seeds in images.items()}
    fine = {kind: [fine_power(one) for one in seeds] for kind, seeds in spectra.items()}
    share = {kind: [fine_power(one) / float(one.sum()) for one in seeds] for kind, seeds in spectra.items()}
    quality = {arm: scores(folders, "metric/fd_digits") for arm, folders in runs.items()}
    return Finding(
        [
            Check("VAE's samples: sharpness over that of real images", _over(sharp, VAE, REAL), at_most=0.9),
            Check("VAE's reconstructions: the same", _over(sharp, REBUILT, REAL), at_most=0.9),
            Check("VAE's samples: sharpness over that of DCGAN's", _over(sharp, VAE, GAN), at_most=0.9),
            Check("VAE's samples: power of fine detail over DCGAN's", _over(fine, VAE, GAN), at_most=0.9),
        ],
        draw(images),
        f"DCGAN's samples have {np.mean(_over(sharp, GAN, REAL)):.2f} of the real images' sharpness and "
        f"{np.mean(_over(fine, GAN, REAL)):.2f} of their power of fine detail, the VAE's "
        f"{np.mean(_over(sharp, VAE, REAL)):.2f} and {np.mean(_over(fine, VAE, REAL)):.2f}. Less contrast alone would "
        "leave the share of fine detail in all power as it is: the VAE's samples have "
        f"{np.mean(_over(share, VAE, REAL)):.2f} of that of real images, its reconstructions "
        f"{np.mean(_over(share, REBUILT, REAL)):.2f}. fd_digits is {np.mean(quality['vae']):.3g} of the VAE and "
        f"{np.mean(quality['dcgan']):.3g} of the DCGAN.",
        {"sharpness": sharp, "fine_power": fine, "fine_share": share, "fd_digits": quality},
    )


def _over(values: Mapping[str, Sequence[float]], kind: str, other: str) -> list[float]:
    return [one / beside for one, beside in zip(values[kind], values[other], strict=True)]


def sharpness(images: Tensor) -> Tensor:
    """The variance of each image's Laplacian, [n]: of images [n, 1, height, width] in [-1, 1], as pixels from 0 to 1.

    The five-point stencil, where it fits in; 0 where an image is flat or a ramp.
    """
    edges = conv2d((images.double() + 1) / 2, LAPLACIAN.double()[None, None])
    return edges.flatten(1).var(1, unbiased=False)


def radial_spectrum(images: Tensor) -> np.ndarray:
    """The mean power of images [n, 1, size, size] at 1, 2, …, size / 2 cycles an image, over directions and images.

    Pixels from 0 to 1, each image's mean taken off, a Hann window against the borders.
    """
    size = images.shape[-1]
    pixels = (images[:, 0].double() + 1) / 2
    window = torch.hann_window(size, dtype=torch.float64)
    framed = (pixels - pixels.mean((1, 2), keepdim=True)) * window * window[:, None]
    power = torch.fft.fft2(framed).abs().square().mean(0) / size**2
    along = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)
    radius = torch.hypot(along, along[:, None]).round().long()
    return np.array([float(power[radius == at].mean()) for at in range(1, size // 2 + 1)])


def fine_power(spectrum: np.ndarray) -> float:
    """The power in the upper half of a radial spectrum."""
    return float(spectrum[len(spectrum) // 2 :].sum())


def draw(images: Mapping[str, Sequence[Tensor]]) -> Figure:
    """Sheets of the first seed; below, how sharp each image is, and the spectra of all seeds."""
    figure = Figure(figsize=(13.2, 6.3), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 4, height_ratios=[1, 1.3])
    for column, (kind, seeds) in enumerate(images.items()):
        draw_sheet(figure.add_subplot(grid[0, column]), seeds[0][:SHOWN], COLUMNS, kind)
    by_image, spectra = figure.add_subplot(grid[1, :2]), figure.add_subplot(grid[1, 2:])
    draw_sharpness(by_image, images)
    for place, (kind, seeds) in enumerate(images.items()):
        curves = [radial_spectrum(one).tolist() for one in seeds]
        band(spectra, range(1, len(curves[0]) + 1), curves, kind, place)
    spectra.set_yscale("log")
    styled(spectra, "mean spectrum: power of detail", "cycles an image", "power", legend=True)
    return figure


def draw_sharpness(axes: Axes, images: Mapping[str, Sequence[Tensor]]) -> None:
    """Of each kind the share of images, over all seeds, by their sharpness."""
    values = {kind: sharpness(torch.cat(list(seeds))).numpy() for kind, seeds in images.items()}
    bins = np.linspace(0, max(float(np.quantile(own, 0.995)) for own in values.values()), 60).tolist()
    for place, (kind, own) in enumerate(values.items()):
        weights = np.full(len(own), 1 / len(own))
        axes.hist(own, bins=bins, weights=weights, histtype="step", linewidth=1.5, color=COLOURS[place], label=kind)
    styled(
        axes,
        "how sharp each image is",
        "variance of the Laplacian (pixels from 0 to 1)",
        "share of images",
        legend=True,
    )
