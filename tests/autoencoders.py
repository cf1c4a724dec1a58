"""Tiny autoencoders that are ready to be fitted."""

import torch

ADAM = {"algorithm": "adam", "lr": 1e-2, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}


def make(
    family, shape=(4,), widths=(), latent_dim=2, max_iterations=3, optimizer=None, accumulate=1, seed=0, **options
):
    """make(AE, shape=[1, 2, 3], widths=[5], encoder={"code_activation": "sigmoid"})"""
    torch.manual_seed(3 + seed)
    node = {"sample_shape": list(shape), "widths": list(widths), "activation": "tanh"}
    kind = "ganlab.networks.mlp_autoencoder.MLP"
    options["encoder"] = {"_target_": kind + "Encoder", **node, **options.get("encoder", {})}
    mirrored = {"widths": list(widths)[::-1]}
    options["decoder"] = {"_target_": kind + "Decoder", **node, **mirrored, **options.get("decoder", {})}
    model = family(name="tiny", sample_shape=list(shape), latent_dim=latent_dim, **options)
    model.prepare_training(
        optimizers={"autoencoder": dict(optimizer or {"algorithm": "sgd", "lr": 0.05})},
        seed=seed,
        max_iterations=max_iterations,
        accumulate=accumulate,
    )
    return model
