"""Iterations per second against a plain PyTorch loop, interleaved in one process.

    python benchmarks/speed.py                     # all cases
    python benchmarks/speed.py case=ring,dcgan32   # some of them: families, data and sizes, see CASES
    python benchmarks/speed.py profile             # what an iteration's time goes to instead
    python benchmarks/speed.py compile             # trainer.compile=true beside it; the first steps take minutes
    python benchmarks/speed.py roofline            # FLOPs of an iteration over the machine's measured matrix peak
    python benchmarks/speed.py memory              # peak memory, a process for each loop
    python benchmarks/speed.py precision           # on CUDA: images a second in 32, bf16-mixed and 16-mixed
    python benchmarks/speed.py case=ring data.batch_size=64   # any key goes to every case

The plain loop (benchmarks/plain.py) has the same networks, batch, data and optimizer. ganlab runs as a user runs it:
Lightning's trainer, logging every 50 iterations, the averaged generator, the guard. Short segments of each alternate,
so a change of the machine's speed meets all alike. The row A/A is the plain loop against itself: differences of its
size mean nothing. `wall` is by the clock, `cpu` by the processor's time, which others on the machine disturb less.
"""

import logging
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from lightning import Callback
from omegaconf import OmegaConf

import plain
from ganlab.config import resolvers
from ganlab.config.callback import check_job
from ganlab.config.paths import conf_folder
from ganlab.tasks import acceleration, building, devices
from ganlab.tasks.scoring import Scorer
from phases import Phases
from plain import LOG_EVERY
from roofline import device_seconds, flops_of, matrix_peak


class Case(NamedTuple):
    """A configuration, and how long each loop runs before it is the other's turn, how often."""

    words: list[str]
    segment: int
    segments: int


def _images(model: str, size: int, segment: int, *more: str) -> Case:
    words = [f"model={model}", "data=digits", f"data.image_size={size}", "data.batch_size=64", *more]
    return Case(words, segment, 9)


CASES: dict[str, Case] = {
    "ring": Case(["model=gan", "data=ring"], 200, 15),
    "ring_lsgan": Case(["model=lsgan", "data=ring"], 200, 15),
    "ring_wgan": Case(["model=wgan", "data=ring"], 50, 15),
    "ring_wgan_gp": Case(["model=wgan_gp", "data=ring"], 40, 15),
    "dcgan32": _images("dcgan", 32, 6),
    "lsgan32": _images("lsgan", 32, 6),
    "cgan32": _images("cgan", 32, 6),
    "wgan_gp32": _images("wgan_gp", 32, 1, "model.discriminator_updates=2"),
    "dcgan64": _images("dcgan", 64, 2),
    "lsgan64": _images("lsgan", 64, 2),
    "cgan64": _images("cgan", 64, 2),
    "wgan_gp64": _images("wgan_gp", 64, 1, "model.discriminator_updates=2"),
    "ae": _images("ae", 16, 100, "model/coders=mlp"),
    "vae": _images("vae", 16, 100, "model/coders=mlp"),
    "ae_conv": _images("ae", 32, 10, "model/coders=convolutional"),
    "vae_conv": _images("vae", 32, 10, "model/coders=convolutional"),
}
QUIET = ["trainer.sample_every=null", "trainer.checkpoint_every=null", "trainer.progress=false", "metrics.scores=[]"]
"""Pictures, checkpoints and scores come as often as a user wants them; a plain loop has none."""
CPU = building.Machine("cpu", 1, 1, "32-true")
SYSTEMS_OWN = (2**26, (2**25,))
"""Bytes kept, and the largest block that is: where glibc's own thresholds end, for the plain loop's segments."""
MODES = ("profile", "compile", "roofline", "memory", "precision")


def settings_of(overrides: list[str]) -> dict[str, Any]:
    """The checked configuration of a command line."""
    resolvers.register()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("config", overrides=overrides, return_hydra_config=True)
    config.hydra.job.num = 0
    check_job(config, overrides)
    plain = OmegaConf.to_container(OmegaConf.masked_copy(config, [k for k in config if k != "hydra"]), resolve=True)
    return plain  # type: ignore[return-value]


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
        acceleration.keep_memory(CPU, *SYSTEMS_OWN)
        for name, step in self.others.items():
            begin = _now()
            for _ in range(self.segment):
                step()
            self.times[name].append(_since(begin))
        acceleration.keep_memory(CPU)
        self._clock = _now()


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(begin: tuple[float, float]) -> tuple[float, float]:
    wall, cpu = _now()
    return wall - begin[0], cpu - begin[1]


def case_settings(case: Case, iterations: int, *words: str) -> dict[str, Any]:
    """The settings of a case for so many iterations; `words` come last."""
    return settings_of(
        [*case.words, *QUIET, f"trainer.max_iterations={iterations}", f"trainer.log_every={LOG_EVERY}", *words]
    )


def trained(settings: dict[str, Any], *callbacks: Callback) -> None:
    """A run as `python -m ganlab` makes it; `callbacks` come last, so that they see what all others did."""
    options = settings["trainer"]
    machine = building.settle_machine(options)
    acceleration.settle_arithmetic(machine, options["tf32"])
    acceleration.keep_memory(machine)
    model = building.build_model(settings)
    model.prepare_training(
        optimizers=settings["optimizer"],
        seed=0,
        max_iterations=options["max_iterations"],
        gradient_scaling=machine.precision == "16-mixed",
        channels_last=options["channels_last"],
    )
    torch.set_num_threads(devices.choose_threads(options["threads"], model, 1))
    data = building.build_data(settings, model)
    data.setup()
    scorer = Scorer(settings["metrics"], data, model, None)
    acceleration.compile_training(model, options, machine, print)
    with tempfile.TemporaryDirectory() as folder:
        trainer = building.build_trainer(settings, machine, Path(folder), model, scorer)
        trainer.callbacks += callbacks  # type: ignore[attr-defined]
        trainer.fit(model, datamodule=data)


def measure(name: str, *words: str, label: str = "ganlab", all_rows: bool = True) -> None:
    """Print the rows of one case; a short one of ganlab alone."""
    case = CASES[name]
    total = case.segment * (case.segments + 1)
    settings = case_settings(case, total, *words)
    device = building.settle_machine(settings["trainer"]).accelerator
    first, second = plain.steps(settings, device), plain.steps(settings, device)
    alternate = Alternate(case.segment, {"plain": lambda: next(first), "plain again": lambda: next(second)})
    trained(settings, alternate)
    times = {row: values[1:] for row, values in alternate.times.items()}
    labels = {"plain": "plain loop", "plain again": "plain loop (A/A)", "ganlab": label}
    for row in labels if all_rows else ["ganlab"]:
        walls = [plain[0] / own[0] for plain, own in zip(times["plain"], times[row], strict=True)]
        cpus = [plain[1] / own[1] for plain, own in zip(times["plain"], times[row], strict=True)]
        speed = case.segment / statistics.median(wall for wall, _ in times[row])
        print(
            f"{name:12} {labels[row]:17} {speed:9.1f} it/s   wall ×{statistics.median(walls):.2f} "
            f"({min(walls):.2f}–{max(walls):.2f})   cpu ×{statistics.median(cpus):.2f}",
            flush=True,
        )


def compare_compiled(name: str, *words: str) -> None:
    """The rows of a case, and one of the compiled run, against the plain loop beside it."""
    measure(name, *words)
    measure(name, *words, "trainer.compile=true", label="ganlab, compiled", all_rows=False)


def profile(name: str, *words: str) -> None:
    """Print the shares of an iteration that go to each of its phases."""
    case = CASES[name]
    phases = Phases(skip=case.segment)
    trained(case_settings(case, case.segment * 4, *words), phases)
    print(f"{name:12} {1000 * phases.seconds:9.2f} ms an iteration: {phases.shares()}", flush=True)


class Clock(Callback):
    """When each iteration ended, on the device as well."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        self.ends.append(device_seconds(pl_module.device.type))

    def seconds(self) -> float:
        """Of an iteration: the median, without the first ones."""
        skipped = math.ceil(len(self.ends) / 4)
        gaps = [end - begin for begin, end in zip(self.ends[skipped:], self.ends[skipped + 1 :], strict=False)]
        return statistics.median(gaps)


def roofline(name: str, *words: str) -> None:
    """Print what share of the machine's matrix peak an iteration reaches."""
    case = CASES[name]
    clock = Clock()
    trained(case_settings(case, max(8, case.segment), *words), clock)
    settings = case_settings(case, 2, *words)  # the last one is evaluated
    flops = flops_of(lambda callback: trained(settings, callback))
    peak = matrix_peak(building.settle_machine(settings["trainer"]).accelerator, settings["trainer"])
    speed = flops / clock.seconds()
    print(
        f"{name:12} {flops / 1e9:9.3f} GFLOP an iteration, {speed / 1e9:8.1f} GFLOP/s: {speed / peak:5.1%} of "
        f"{peak / 1e9:.0f} GFLOP/s ({torch.get_num_threads()} threads)",
        flush=True,
    )


def compare_precisions(name: str, *words: str) -> None:
    """On CUDA print images a second of each precision, uncompiled and compiled."""
    if not torch.cuda.is_available():
        sys.exit("precision: this machine shows no CUDA device; 16-mixed needs one, and bf16 is slower on CPUs")
    case = CASES[name]
    for precision in ("32", "bf16-mixed", "16-mixed"):
        for compiled in ("false", "true"):
            clock = Clock()
            own = [f"trainer.precision={precision}", f"trainer.compile={compiled}"]
            settings = case_settings(case, 100, *words, *own)
            trained(settings, clock)
            images = settings["data"]["batch_size"] * settings["model"].get("discriminator_updates", 1)
            print(
                f"{name:12} precision {precision:11} compile {compiled:5} {images / clock.seconds():10.0f} images/s",
                flush=True,
            )


def peak_memory(name: str, loop: str) -> None:
    """Run one loop in this process and print its peak resident memory in MiB; `none` only loads the libraries."""
    iterations = 100 if name == "ring" else 6
    settings = case_settings(CASES[name], iterations)
    if loop == "plain":
        steps = plain.steps(settings)
        for _ in range(iterations):
            next(steps)
    elif loop == "ganlab":
        trained(settings)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def compare_memory(name: str, *words: str) -> None:
    """Print the peaks of the plain loop and of ganlab, and what the loaded libraries take alone."""
    peaks = {}
    for loop in ("none", "plain", "ganlab"):
        command = [sys.executable, __file__, "peak", name, loop]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        peaks[loop] = int(done.stdout.split()[-1])
    print(
        f"{name:8} peak memory: plain loop {peaks['plain']} MiB, ganlab {peaks['ganlab']} MiB "
        f"(×{peaks['ganlab'] / peaks['plain']:.2f}); the libraries alone {peaks['none']} MiB",
        flush=True,
    )


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["peak"]:
        peak_memory(*words[1:3])
        return
    wanted = [name for word in words if word.startswith("case=") for name in word.removeprefix("case=").split(",")]
    if unknown := [name for name in wanted if name not in CASES]:
        sys.exit(f"case={','.join(unknown)}: no such case; there are {', '.join(CASES)}")
    for library in ("lightning", "lightning.pytorch"):
        logging.getLogger(library).setLevel(logging.ERROR)
    mode = next((word for word in words if word in MODES), "")
    others = [word for word in words if word not in MODES and not word.startswith("case=")]
    if mode in ("", "compile"):
        print(f"threads: {torch.get_num_threads()}; torch {torch.__version__}; × is speed over the plain loop")
    modes: dict[str, Callable[..., None]] = {
        "": measure,
        "profile": profile,
        "compile": compare_compiled,
        "roofline": roofline,
        "memory": compare_memory,
        "precision": compare_precisions,
    }
    for name in wanted or CASES:
        modes[mode](name, *others)


if __name__ == "__main__":
    main()
