"""Tiny autoencoders that are ready to be fitted."""

import torch

ADAM = {"algorithm": "adam", "lr": 1e-2, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}


def coders(shape, widths, activation, code_activation="linear"):
    """The nodes of a fully connected encoder and of the decoder that mirrors it, by their keys."""
    kind, common = "ganlab.networks.mlp_autoencoder.MLP", {"sample_shape": list(shape), "activation": activation}
    encoder = {"_target_": kind + "Encoder", **common, "widths": list(widths), "code_activation": code_activation}
    return {"encoder": encoder, "decoder": {"_target_": kind + "Decoder", **common, "widths": list(widths)[::-1]}}


def make(
    family, shape=(4,), widths=(), latent_dim=2, max_iterations=3, optimizer=None, accumulate=1, seed=0, **options
):
    """make(AE, shape=[1, 2, 3], widths=[5], encoder={"code_activation": "sigmoid"})"""
    torch.manual_seed(3 + seed)
    nodes = coders(shape, widths, "tanh")
    options |= {name: node | options.get(name, {}) for name, node in nodes.items()}
    model = family(name="tiny", sample_shape=list(shape), latent_dim=latent_dim, **options)
    model.prepare_training(
        optimizers={"autoencoder": dict(optimizer or {"algorithm": "sgd", "lr": 0.05})},
        seed=seed,
        max_iterations=max_iterations,
        accumulate=accumulate,
    )
    return model
