"""What tests of all floors share: checked settings, a tiny GAN, data in memory, a bare trainer."""

import os
from collections.abc import Callable
from typing import Any

import lightning
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ganlab.config import resolvers
from ganlab.config.callback import check, drop_unused_optimizers
from ganlab.config.paths import conf_folder
from ganlab.data.batch import Batch

pytest_plugins = ["formats"]

torch.set_num_threads(1)

SGD = {"algorithm": "sgd", "lr": 0.05}
ADAM = {"algorithm": "adam", "lr": 2e-3, "betas": [0.5, 0.999], "eps": 1e-8, "weight_decay": 0.0}


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """A cache for all tests of this session, so that none finds or leaves anything in the user's."""
    os.environ["GANLAB_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def settings() -> Callable[..., dict[str, Any]]:
    """settings("model=gan", "data=ring"): what the command line would compose and check, as plain containers."""
    resolvers.register()

    def composed(*overrides: str) -> dict[str, Any]:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            config = compose("config", overrides=list(overrides), return_hydra_config=True)
        config.hydra.job.num = 0
        drop_unused_optimizers(config, overrides)
        check(config)
        own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        return OmegaConf.to_container(own, resolve=True)

    return composed


class TinyData(lightning.LightningDataModule):
    """Hands out the given batches, one an iteration, over and over, from `start` on."""

    def __init__(self, batches: list[Batch], start: int = 0) -> None:
        super().__init__()
        self.batches, self.start = batches, start

    def train_dataloader(self) -> "TinyData":
        return self

    def __iter__(self):
        index = self.start
        while True:
            yield self.batches[index % len(self.batches)]
            index += 1


@pytest.fixture
def tiny_data() -> Callable[..., TinyData]:
    """tiny_data(rows): three batches of so many samples, drawn from a seed."""

    def make(
        rows: int = 8, shape: Any = (2,), classes: int = 0, dtype: Any = torch.float32, start: int = 0
    ) -> TinyData:
        random = torch.Generator().manual_seed(7)
        batches = []
        for _ in range(3):
            samples = torch.rand(rows, *shape, generator=random, dtype=torch.float64).mul(2).sub(1).to(dtype)
            labels = torch.randint(classes, (rows,), generator=random) if classes else None
            batches.append(Batch(samples, labels))
        return TinyData(batches, start)

    return make


@pytest.fixture
def make_gan() -> Callable[..., Any]:
    """make_gan(shape=[1, 8, 8], networks="dcgan", discriminator_updates=3, optimizer=…): ready to be fitted."""
    from ganlab.models.cgan import CGAN
    from ganlab.models.gan import GAN

    def make(
        shape: Any = (2,),
        networks: str = "mlp",
        condition_size: int = 0,
        optimizer: dict[str, Any] = SGD,
        optimizers: dict[str, dict[str, Any]] | None = None,
        seed: int = 0,
        max_iterations: int = 4,
        accumulate: int = 1,
        gradient_scaling: bool = False,
        **options: Any,
    ) -> GAN:
        torch.manual_seed(11)
        kind = {"mlp": "ganlab.networks.mlp.MLP", "dcgan": "ganlab.networks.dcgan.DCGAN"}[networks]
        node = {"sample_shape": list(shape), "width": 4 if networks == "dcgan" else 8}
        options = {"name": "tiny", "sample_shape": list(shape), "latent_dim": 3, **options}
        options["generator"] = {"_target_": kind + "Generator", **node, **options.get("generator", {})}
        options["discriminator"] = {"_target_": kind + "Discriminator", **node, **options.get("discriminator", {})}
        model = CGAN(condition_size=condition_size, **options) if condition_size else GAN(**options)
        model.prepare_training(
            optimizers=optimizers or {"generator": dict(optimizer), "discriminator": dict(optimizer)},
            seed=seed,
            max_iterations=max_iterations,
            accumulate=accumulate,
            gradient_scaling=gradient_scaling,
        )
        return model

    return make


@pytest.fixture
def fit() -> Callable[..., lightning.Trainer]:
    """fit(model, data, *callbacks, logger=…, plugins=…): trains on one CPU process and returns the trainer."""

    def run(model: Any, data: Any, *callbacks: Any, ckpt_path: Any = None, **options: Any) -> lightning.Trainer:
        options = {"logger": False, **options}
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            callbacks=list(callbacks),
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            **options,
        )
        trainer.fit(model, datamodule=data, ckpt_path=ckpt_path)
        return trainer

    return run
