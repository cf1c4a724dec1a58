"""How good the samples are, over seeds: the median and the worst of each score, beside what real samples score.

    python benchmarks/quality.py                            # the default job
    python benchmarks/quality.py rows=ring,grid             # rows of the table below; rows=all for all of it
    python benchmarks/quality.py rows=ring seeds=0,1        # other seeds than the row's own
    python benchmarks/quality.py rows=all keep=outputs/quality jobs=2

Each seed is a run of the command line in a process of its own; its scores are read from its results.json.
`keep` keeps the runs in a folder, as <row>/seed_<seed>, and takes from it those that were finished with the same
command: so an interrupted table goes on. A preset that was edited since is not noticed. `jobs` runs so many at a time.
Any other word goes to every run: trainer.threads=1.
"""

import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from scipy.stats import spearmanr


class Row(NamedTuple):
    """A command, the scores of it that are told, and what was published for the same protocol."""

    words: str
    scores: str
    published: str = ""
    seeds: int = 3


# PacGAN's protocol (Lin et al. 2018): 2,500 samples.
MODES = "metrics.count=2500 metrics.scores=[modes,modes_strict,high_quality,mode_kl]"
MODE_SCORES = "modes modes_strict high_quality mode_kl"
OF_RING = "PacGAN: GAN 6.3 modes, 98.2 % high quality; PacGAN2 7.9, 95.6 %; in VEEGAN: GAN 1, 99.3 %; VEEGAN 8, 52.9 %"
OF_GRID = "PacGAN: GAN 17.3 modes, 94.8 % high quality; PacGAN4 24.8, 93.6 %"
# VEEGAN's and PacGAN's protocol: 26,000 samples.
STACKED = "metrics.count=26000 metrics.reference_count=26000 data.test_count=26000 metrics.scores=[modes,mode_kl]"
OF_STACKED = "PacGAN, on MNIST: DCGAN 99 modes, KL 3.40; VEEGAN 150, 2.95; PacDCGAN2 1000, 0.06"
DIGITS = "fd_digits precision recall auth_pct"
CODES = "last(loss/information_1) last(loss/information_2) last(loss/information_3)"
ESTIMATE = "spearman(wasserstein/estimate,wasserstein/exact)"
# Of autoencoders: test squared error a value as a share of what as many principal components leave.
OF_PCA = "share(mse,pca) mse"
SHALLOW = "model.encoder.widths=[256] trainer.max_iterations=6000"
JACOBIAN = "last(jacobian/squared_norm_held_out)"
RANDOM_START = "model.pretrain_iterations=0"
BOUNDS = "elbo elbo_kl elbo_reconstruction iw_bound active_units"

ROWS = {
    "default": Row("", f"label_agreement {DIGITS}"),
    "ring": Row(f"experiment=ring {MODES}", MODE_SCORES, OF_RING, seeds=5),
    "ring_pacgan": Row(f"experiment=ring_pacgan {MODES}", MODE_SCORES, OF_RING, seeds=5),
    "grid": Row(f"experiment=grid {MODES}", MODE_SCORES, OF_GRID, seeds=5),
    "ring_lsgan": Row(f"experiment=ring_lsgan {MODES}", MODE_SCORES, OF_RING),
    "ring_wgan": Row(f"experiment=ring_wgan {MODES}", MODE_SCORES, OF_RING),
    "ring_wgan_gp": Row("experiment=ring_wgan_gp", f"{MODE_SCORES} w1 {ESTIMATE}", OF_RING),
    "digits_dcgan": Row("experiment=digits_dcgan", DIGITS),
    "digits_lsgan": Row("experiment=digits_lsgan", DIGITS),
    "digits_wgan_gp": Row("experiment=digits_wgan_gp", DIGITS),
    "digits_hinge_sn": Row("experiment=digits_hinge_sn", DIGITS),
    "digits_balanced": Row(
        "experiment=digits_balanced", f"{DIGITS} last(updates/discriminator) last(updates/generator)"
    ),
    "digits_lapgan": Row("model=lapgan data=digits", DIGITS),
    "digits_infogan": Row("experiment=digits_infogan", f"{CODES} fd_digits"),
    "ten_labels": Row("experiment=digits_semi_supervised", "accuracy"),
    "ten_labels_alone": Row("experiment=digits_semi_supervised model.unsupervised_weight=0", "accuracy"),
    "stacked_dcgan": Row(f"experiment=stacked_dcgan {STACKED}", "modes mode_kl", OF_STACKED),
    "stacked_wgan_gp": Row(f"experiment=stacked_wgan_gp {STACKED}", "modes mode_kl", OF_STACKED),
    "stacked_dcgan_noise": Row(f"experiment=stacked_dcgan_noise {STACKED}", "modes mode_kl", OF_STACKED),
    "ring_collapse": Row(f"experiment=ring_collapse {MODES}", MODE_SCORES, "fails on purpose"),
    "wgan_tight_clipping": Row(f"experiment=wgan_tight_clipping {MODES}", MODE_SCORES, "fails on purpose"),
    "linear_ae": Row("experiment=linear_ae", OF_PCA),
    "ae_2": Row("experiment=digits_ae model.latent_dim=2", OF_PCA),
    "ae_8": Row("experiment=digits_ae", OF_PCA),
    "ae_30": Row("experiment=digits_ae model.latent_dim=30", OF_PCA),
    "ae_30_shallow": Row(f"experiment=digits_ae model.latent_dim=30 {SHALLOW}", OF_PCA),
    "sparse": Row("experiment=digits_sparse", "last(sparsity/mean_activation) last(sparsity/dead_units) mse"),
    "denoising": Row("experiment=digits_denoising", "restored_psnr mse"),
    "denoising_plain": Row("experiment=digits_denoising model.train_corrupted=false", "restored_psnr mse"),
    "contractive": Row("experiment=digits_contractive", f"mse {JACOBIAN}"),
    "contractive_off": Row("experiment=digits_contractive model.contraction=0", f"mse {JACOBIAN}"),
    "stacked_300": Row("experiment=stacked_ae", "mse"),
    "stacked_300_random": Row(f"experiment=stacked_ae {RANDOM_START} trainer.max_iterations=300", "mse"),
    "stacked_3000": Row("experiment=stacked_ae trainer.max_iterations=15000", "mse"),
    "stacked_3000_random": Row(f"experiment=stacked_ae {RANDOM_START} trainer.max_iterations=3000", "mse"),
    "deep_300": Row("experiment=deep_ae", "mse"),
    "deep_300_random": Row(f"experiment=deep_ae {RANDOM_START} trainer.max_iterations=300", "mse"),
    "deep_3000": Row("experiment=deep_ae trainer.max_iterations=11000", "mse"),
    "deep_3000_random": Row(f"experiment=deep_ae {RANDOM_START} trainer.max_iterations=3000", "mse"),
    "vae_2": Row("experiment=digits_vae", BOUNDS),
    "vae_8": Row("experiment=digits_vae model.latent_dim=8", BOUNDS),
    "beta_vae": Row("experiment=digits_beta_vae", BOUNDS),
    "beta_vae_1": Row("experiment=digits_beta_vae model.beta=1", BOUNDS),
}
OPTIONS = {"keep": "", "jobs": "1", "rows": "default", "seeds": ""}


def finished(folder: Path, words: list[str]) -> bool:
    """Whether a run of these words has its results in `folder`."""
    overrides = folder / ".hydra" / "overrides.yaml"
    return (folder / "results.json").exists() and list(OmegaConf.load(overrides)) == words


def run(folder: Path, words: list[str]) -> dict[str, Any]:
    """results.json of a run of these words, made in `folder` unless it is there; ends if it holds a run of others."""
    if not finished(folder, words):
        if (folder / "results.json").exists():
            sys.exit(f"{folder}: holds a finished run of other words; choose another keep, or take it away")
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "ganlab", *words, f"hydra.run.dir={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {**json.loads((folder / "results.json").read_text()), "folder": folder}


def rank_correlation(table: Path, first: str, second: str) -> float:
    """Spearman's, between two columns of a metrics.csv over the iterations where both were logged."""
    with table.open() as file:
        pairs = [(row[first], row[second]) for row in csv.DictReader(file) if row[first] and row[second]]
    return float(spearmanr([float(a) for a, _ in pairs], [float(b) for _, b in pairs]).statistic)


def last_of(table: Path, column: str) -> float:
    """The value of a column of a metrics.csv that was logged last."""
    with table.open() as file:
        return float([row[column] for row in csv.DictReader(file) if row[column]][-1])


def score_of(result: dict[str, Any], name: str) -> dict[str, Any]:
    """value, better and real of a score, of a correlation of logged values, of a loss that was logged last, or of a
    score as a share of what is told beside it: share(mse,pca)."""
    if name.startswith("spearman("):
        first, second = name.removeprefix("spearman(").removesuffix(")").split(",")
        return {"value": rank_correlation(result["folder"] / "metrics.csv", first, second), "better": "higher"}
    if name.startswith("last("):
        return {"value": last_of(result["folder"] / "metrics.csv", name[len("last(") : -1]), "better": "lower"}
    if name.startswith("share("):
        kind, beside = name.removeprefix("share(").removesuffix(")").split(",")
        score = result["scores"][f"metric/{kind}"]
        return {"value": score["value"] / score[beside], "better": score["better"]}
    return result["scores"][f"metric/{name}"]


def short(value: float) -> str:
    """Three digits, and never an exponent for a count."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def tell(name: str, row: Row, seeds: list[int], results: list[dict[str, Any]]) -> None:
    seconds = statistics.median(result["wall_seconds"] for result in results)
    print(f"\n{name}: python -m ganlab {row.words}\n  seeds {seeds}, {seconds:.0f} s a run", flush=True)
    if row.published:
        print(f"  {row.published}")
    for name in row.scores.split():
        scores = [score_of(result, name) for result in results]
        values = [score["value"] for score in scores]
        worst = min(values) if scores[0]["better"] == "higher" else max(values)
        real = scores[0].get("real")
        beside = "" if real is None else f" (real samples {short(real)})"
        print(f"  {name:16} median {short(statistics.median(values))}, worst {short(worst)}{beside}", flush=True)


def main() -> None:
    given = [word.partition("=") for word in sys.argv[1:]]
    options = OPTIONS | {key: value for key, _, value in given if key in OPTIONS}
    others = ["".join(word) for word in given if word[0] not in OPTIONS]
    names = list(ROWS) if options["rows"] == "all" else options["rows"].split(",")
    if unknown := [name for name in names if name not in ROWS]:
        sys.exit(f"rows={','.join(unknown)}: no such row; there are {', '.join(ROWS)}, all")
    jobs = int(options["jobs"])
    common = ["trainer.progress=false", *(["trainer.threads=1"] if jobs > 1 else []), *others]
    with tempfile.TemporaryDirectory() as spare, ThreadPoolExecutor(jobs) as pool:
        kept = Path(options["keep"] or spare).absolute()
        for name in names:
            row = ROWS[name]
            seeds = [int(seed) for seed in options["seeds"].split(",")] if options["seeds"] else list(range(row.seeds))
            words = [[*row.words.split(), f"seed={seed}", *common] for seed in seeds]
            folders = [kept / name / f"seed_{seed}" for seed in seeds]
            tell(name, row, seeds, list(pool.map(run, folders, words)))


if __name__ == "__main__":
    main()
