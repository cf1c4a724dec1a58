"""Iterations per second against a plain PyTorch loop, interleaved in one process.

    python benchmarks/speed.py                # all cases
    python benchmarks/speed.py case=ring      # one of: ring, dcgan32, dcgan64
    python benchmarks/speed.py memory         # peak memory instead, a process for each loop

The plain loop is the usual one (pytorch/examples): the same networks, batch, data and optimizer; generated
samples made once and detached for the discriminator; nothing frozen, nothing fused, losses read every 50
iterations. ganlab runs as a user runs it: Lightning's trainer, logging every 50 iterations, the averaged
generator, the guard. Short segments of each alternate, so a change of the machine's speed meets
all alike. The row A/A is the plain loop against itself: differences of its size mean nothing.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from lightning import Callback
from omegaconf import OmegaConf
from torch.nn.functional import binary_cross_entropy_with_logits

from ganlab.config import resolvers
from ganlab.config.callback import check_job
from ganlab.config.paths import conf_folder
from ganlab.tasks import building, devices
from ganlab.tasks.scoring import Scorer

CASES: dict[str, tuple[list[str], int, int]] = {
    # overrides, iterations a segment, segments
    "ring": (["model=gan", "data=ring"], 200, 15),
    "dcgan32": (["model=dcgan", "data=digits", "data.image_size=32", "data.batch_size=64"], 6, 9),
    "dcgan64": (["model=dcgan", "data=digits", "data.image_size=64", "data.batch_size=64"], 2, 9),
}
LOG_EVERY = 50
QUIET = ["trainer.sample_every=null", "trainer.checkpoint_every=null", "trainer.progress=false", "metrics.scores=[]"]
"""Pictures, checkpoints and scores come as often as a user wants them; a plain loop has none."""


def settings_of(overrides: list[str]) -> dict[str, Any]:
    """The checked configuration of a command line."""
    resolvers.register()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("config", overrides=overrides, return_hydra_config=True)
    config.hydra.job.num = 0
    check_job(config, overrides)
    plain = OmegaConf.to_container(OmegaConf.masked_copy(config, [k for k in config if k != "hydra"]), resolve=True)
    return plain  # type: ignore[return-value]


def plain_loop(settings: dict[str, Any]) -> Iterator[None]:
    """One iteration at each `next`, written as anyone would write it."""
    model = building.build_model(settings)
    data = building.build_data(settings, model)
    data.setup()
    generator, discriminator = model.generator, model.discriminator
    options = {name: settings["optimizer"][name] for name in ("generator", "discriminator")}
    optimizer_g, optimizer_d = (
        torch.optim.Adam(network.parameters(), lr=options[name]["lr"], betas=tuple(options[name]["betas"]))
        for name, network in (("generator", generator), ("discriminator", discriminator))
    )
    batches = iter(data.train_dataloader())
    iteration = 0
    while True:
        real = next(batches).samples
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        latents = torch.randn(len(real), model.latent_dim)
        optimizer_d.zero_grad()
        loss_real = binary_cross_entropy_with_logits(discriminator(real), ones)
        loss_real.backward()
        fake = generator(latents)
        loss_fake = binary_cross_entropy_with_logits(discriminator(fake.detach()), zeros)
        loss_fake.backward()
        optimizer_d.step()
        optimizer_g.zero_grad()
        loss_g = binary_cross_entropy_with_logits(discriminator(fake), ones)
        loss_g.backward()
        optimizer_g.step()
        iteration += 1
        if iteration % LOG_EVERY == 0:
            loss_real.item(), loss_fake.item(), loss_g.item()
        yield


class Alternate(Callback):
    """After each segment of the trainer's run the plain loops run as many iterations."""

    def __init__(self, segment: int, others: dict[str, Callable[[], Any]]) -> None:
        self.segment = segment
        self.others = others
        self.times: dict[str, list[tuple[float, float]]] = {name: [] for name in ("ganlab", *others)}
        self._clock = (0.0, 0.0)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._clock = _now()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration % self.segment:
            return
        self.times["ganlab"].append(_since(self._clock))
        for name, step in self.others.items():
            begin = _now()
            for _ in range(self.segment):
                step()
            self.times[name].append(_since(begin))
        self._clock = _now()


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(begin: tuple[float, float]) -> tuple[float, float]:
    wall, cpu = _now()
    return wall - begin[0], cpu - begin[1]


def trained(settings: dict[str, Any], *callbacks: Callback) -> None:
    """A run as `python -m ganlab` makes it; `callbacks` come last, so that they see what all others did."""
    machine = building.settle_machine(settings["trainer"])
    model = building.build_model(settings)
    iterations = settings["trainer"]["max_iterations"]
    model.prepare_training(optimizers=settings["optimizer"], seed=0, max_iterations=iterations)
    torch.set_num_threads(devices.choose_threads("auto", model, 1))
    data = building.build_data(settings, model)
    data.setup()
    scorer = Scorer(settings["metrics"], data, model, None)
    with tempfile.TemporaryDirectory() as folder:
        trainer = building.build_trainer(settings, machine, Path(folder), model, scorer)
        trainer.callbacks += callbacks  # type: ignore[attr-defined]
        trainer.fit(model, datamodule=data)


def measure(name: str) -> None:
    """Print the rows of one case."""
    overrides, segment, segments = CASES[name]
    total = segment * (segments + 1)
    settings = settings_of([*overrides, *QUIET, f"trainer.max_iterations={total}", f"trainer.log_every={LOG_EVERY}"])
    first, second = plain_loop(settings), plain_loop(settings)
    alternate = Alternate(segment, {"plain": lambda: next(first), "plain again": lambda: next(second)})
    trained(settings, alternate)
    times = {row: values[1:] for row, values in alternate.times.items()}
    for row in ("plain", "plain again", "ganlab"):
        walls = [plain[0] / own[0] for plain, own in zip(times["plain"], times[row], strict=True)]
        cpus = [plain[1] / own[1] for plain, own in zip(times["plain"], times[row], strict=True)]
        speed = segment / statistics.median(wall for wall, _ in times[row])
        label = {"plain": "plain loop", "plain again": "plain loop (A/A)", "ganlab": "ganlab"}[row]
        print(
            f"{name:8} {label:17} {speed:9.1f} it/s   wall ×{statistics.median(walls):.2f} "
            f"({min(walls):.2f}–{max(walls):.2f})   cpu ×{statistics.median(cpus):.2f}",
            flush=True,
        )


def peak_memory(name: str, loop: str) -> None:
    """Run one loop in this process and print its peak resident memory in MiB; `none` only loads the libraries."""
    iterations = 100 if name == "ring" else 6
    settings = settings_of([*CASES[name][0], *QUIET, f"trainer.max_iterations={iterations}"])
    if loop == "plain":
        steps = plain_loop(settings)
        for _ in range(iterations):
            next(steps)
    elif loop == "ganlab":
        trained(settings)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def compare_memory(name: str) -> None:
    """Print the peaks of the plain loop and of ganlab, and what the loaded libraries take alone."""
    peaks = {}
    for loop in ("none", "plain", "ganlab"):
        words = [sys.executable, __file__, "peak", name, loop]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        peaks[loop] = int(done.stdout.split()[-1])
    print(
        f"{name:8} peak memory: plain loop {peaks['plain']} MiB, ganlab {peaks['ganlab']} MiB "
        f"(×{peaks['ganlab'] / peaks['plain']:.2f}); the libraries alone {peaks['none']} MiB",
        flush=True,
    )


def main() -> None:
    if sys.argv[1:2] == ["peak"]:
        peak_memory(*sys.argv[2:4])
        return
    wanted = [word.partition("=")[2] for word in sys.argv[1:] if word.startswith("case=")] or list(CASES)
    if "memory" in sys.argv[1:]:
        for name in wanted:
            compare_memory(name)
        return
    print(
        f"threads of the machine: {torch.get_num_threads()}; torch {torch.__version__}; × is speed over the plain loop"
    )
    for name in wanted:
        measure(name)


if __name__ == "__main__":
    main()
