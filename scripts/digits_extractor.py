"""Makes the weights of the `digits` extractor: `python scripts/digits_extractor.py`, half a minute on one core.

A small classifier is trained on the training half of scikit-learn's digits, the one that `data=digits` trains on,
under random affine maps. On one machine each run gives the same file, to the byte; another processor rounds
differently, and then the file is as good and another one. That is why the repository keeps the file: its hash stands
in `ganlab.metrics.extractors.digits`. With `--check` the file in the repository is left alone and compared.
"""

import argparse
import hashlib
import io
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from ganlab.data.digits import digit_images, stratified_split
from ganlab.files import write_atomically
from ganlab.metrics.extractors.base import resize
from ganlab.metrics.extractors.digits import SIZE, WEIGHTS, WEIGHTS_SHA256, DigitNetwork

SEED = 0
EPOCHS = 90
BATCH = 64
SCALE = 1 / 4
"""A power of two: nothing is rounded."""


def halves(size: int, margin: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """(images float32 [n, 1, 16, 16] in [0, 1], labels) of the training and of the held-out half."""
    images, labels = digit_images(size, margin)
    seen = resize(images.float() / 255, SIZE)
    train, test = stratified_split(labels, 0.5, 0)
    return (seen[train], labels[train]), (seen[test], labels[test])


def random_affine(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image turned, scaled, sheared and shifted by a map of its own.

    The scales reach from the wide frame of MNIST to digits that touch the edge (`data.margin=0`).
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle, aspect, shear = uniform(-0.26, 0.26), uniform(-0.1, 0.1).exp(), uniform(-0.2, 0.2)
    scale = uniform(math.log(0.7), math.log(1.25)).exp()
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    # affine_grid maps the result to its source, hence the inverse scale.
    stretch = torch.stack([aspect, shear, torch.zeros(count), 1 / aspect], 1).view(-1, 2, 2) / scale.view(-1, 1, 1)
    shift = torch.stack([uniform(-0.15, 0.15), uniform(-0.15, 0.15)], 1).unsqueeze(2)
    maps = torch.cat([turn @ stretch, shift], 2)
    return grid_sample(images, affine_grid(maps, list(images.shape), align_corners=False), align_corners=False)


def train(images: Tensor, labels: Tensor, epochs: int) -> DigitNetwork:
    """A classifier of images float32 [n, 1, 16, 16], the same at each call."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    network = DigitNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.1)
    steps = epochs * math.ceil(len(images) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            _, logits = network(random_affine(images[rows], generator))
            # Smoothed a little: without it the features spread further and the real-vs-real floor is higher.
            loss = cross_entropy(logits, labels[rows], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return scaled(network.eval())


@torch.no_grad()
def scaled(network: DigitNetwork) -> DigitNetwork:
    """The same classifier with features of about unit size: a cubic kernel of large ones sees their cubes alone."""
    network.penultimate.weight.mul_(SCALE)
    network.penultimate.bias.mul_(SCALE)
    network.head.weight.div_(SCALE)
    return network


def file_of(network: DigitNetwork) -> bytes:
    """The weights as an .npz of float16: not compressed, for what zlib makes depends on its version."""
    buffer = io.BytesIO()
    arrays = {name: value.numpy().astype(np.float16) for name, value in network.state_dict().items()}
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def report(network: DigitNetwork) -> None:
    print(f"parameters: {sum(weight.numel() for weight in network.parameters())}")
    for size, margin in [(16, 1), (8, 1), (28, 1), (32, 1), (64, 1), (8, 0), (16, 0), (28, 0), (32, 0), (64, 0)]:
        _, (images, labels) = halves(size, margin)
        with torch.no_grad():
            right = (network(images)[1].argmax(1) == labels).double().mean().item()
        print(f"held-out accuracy at {size:2} pixels, margin {margin}: {right:.2%}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the weights of the digits extractor.")
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="where to (default: into the package)")
    parser.add_argument("--check", action="store_true", help="write nothing; compare with the file that is there")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    network = train(*halves(SIZE, 1)[0], epochs=options.epochs)
    content = file_of(network)
    # The accuracy is that of the file: as loaded, in float32 from float16.
    network.half().float()
    report(network)
    digest = hashlib.sha256(content).hexdigest()
    print(f"sha256: {digest}")
    if options.check:
        same = options.output.read_bytes() == content
        print(f"{options.output}: {'the same' if same else 'another file; another processor or version of torch?'}")
        return 0 if same else 1
    write_atomically(options.output, lambda file: file.write(content))
    print(f"{options.output}: {len(content)} bytes")
    if digest != WEIGHTS_SHA256:
        print("WEIGHTS_SHA256 in ganlab/metrics/extractors/digits.py is another: write the new one there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
