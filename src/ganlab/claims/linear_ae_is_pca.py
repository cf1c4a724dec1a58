"""A linear autoencoder with squared error learns the subspace of the principal components (Baldi & Hornik 1989)."""

from copy import deepcopy

import numpy as np
import torch
from scipy.linalg import subspace_angles
from torch import Tensor

from ganlab.claims.drawing import INK, band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.image_rows import draw_rows
from ganlab.claims.lab import Lab
from ganlab.claims.reading import ALL, curves, trained_of
from ganlab.metrics.principal import PrincipalComponents
from ganlab.models.base import GenerativeModel
from ganlab.tasks.trained import Trained

WIDEST = 5.0
"""Degrees between two subspaces that count as one."""
ROUNDING = 1e-7
"""What single precision tells of a ratio near 1."""


def investigate(lab: Lab) -> Finding:
    """Train a linear autoencoder on digits, and compare what its decoder spans with the principal components."""
    folders = lab.train({"linear": []})["linear"]
    runs = [trained_of(folder) for folder in folders]
    principal = principal_components(runs[0])
    columns = [decoder_columns(run.model) for run in runs]
    angles = [np.rad2deg(subspace_angles(own.numpy(), principal.directions.numpy()))[::-1] for own in columns]
    ratios = [error_ratio(run, principal) for run in runs]
    aligned = [float(alignment(own, principal.directions)) for own in columns]
    figure, (over_time, by_order, images) = panels(3)
    iterations, losses = curves(folders, "reconstruction/mse")
    above = (losses / pixel_error(runs[0], principal) - 1).clip(ROUNDING)
    band(over_time, iterations, above.tolist(), "linear autoencoder")
    over_time.set_yscale("log")
    styled(over_time, "training error above PCA's", "iteration", "error over PCA's, less 1", legend=True)
    band(by_order, range(1, len(angles[0]) + 1), [list(own) for own in angles], "decoder's span and PCA's", marker="o")
    by_order.axhline(WIDEST, color=INK, linewidth=1, linestyle=(0, (3, 3)), label="the bound")
    by_order.set_yscale("log")
    styled(by_order, "angles between the two subspaces", "principal angle, by size", "degrees", legend=True)
    shape = runs[0].model.sample_shape
    rows = [own.T.unflatten(1, shape) for own in (principal.directions, columns[0])]
    draw_rows(images, rows, ["component", "decoder"], "principal components, columns of the decoder", weights=True)
    return Finding(
        [
            Check("squared error on the training images, over PCA's", ratios, at_least=1.0, at_most=1.01),
            Check(
                "largest angle between the subspaces", [float(own.max()) for own in angles], at_most=WIDEST, unit="°"
            ),
        ],
        figure,
        "It is the subspace that is learnt and not its axes: a column of the decoder has a cosine of "
        f"{np.mean(aligned):.2f} with the nearest component, for any invertible mixing of the code does as well.",
        {"alignment_of_columns": aligned, "angles_degrees": [own.tolist() for own in angles]},
    )


def principal_components(run: Trained) -> PrincipalComponents:
    """Of the training images, as many as the code is long."""
    train = run.data.examples(ALL, "train").samples
    return PrincipalComponents([train], run.model.latent_dim)


@torch.no_grad()
def decoder_columns(model: GenerativeModel) -> Tensor:
    """What each unit of the code adds to the sample: [values, latent_dim]; the decoder is affine."""
    codes = torch.cat([torch.zeros(1, model.latent_dim), torch.eye(model.latent_dim)])
    decoded = model.decode(codes).flatten(1).double()
    return (decoded[1:] - decoded[0]).T


def pixel_error(run: Trained, principal: PrincipalComponents) -> float:
    """PCA's mean squared error on the training images, a pixel from 0 to 1; it was fitted to pixels from -1 to 1."""
    return float(principal.squared_errors(run.data.examples(ALL, "train").samples).mean()) / 4


@torch.no_grad()
def error_ratio(run: Trained, principal: PrincipalComponents) -> float:
    """Mean squared error on the training images over PCA's, in double precision: single would round it below 1."""
    train = run.data.examples(ALL, "train").samples.double()
    own = (deepcopy(run.model).double().reconstruct(train) - train).square().mean()
    return float(own / principal.squared_errors(train).mean())


def alignment(columns: Tensor, directions: Tensor) -> Tensor:
    """The mean, over columns, of the largest |cosine| with a principal component."""
    cosines = torch.nn.functional.normalize(columns, dim=0).T @ directions
    return cosines.abs().amax(1).mean()
