"""The gallery: every family on digits or a toy, a picture and its scores over seeds, as docs/gallery.md.

    python benchmarks/gallery.py                              # trains what is missing, then writes; hours on two cores
    python benchmarks/gallery.py families=gan,vae seeds=0     # a part; the rest stays as it is
    python benchmarks/gallery.py write                        # the page again, from docs/gallery.json
    python benchmarks/gallery.py keep=FOLDER docs=FOLDER jobs=1

A family is trained by its default, or by the preset that is made for such data. Each seed is a run of the command
line with one CPU thread, in a process of its own, `jobs` at a time; finished runs are kept as <keep>/<family>/seed_<n>
and not made again, so an interrupted gallery goes on. Families are written as soon as their seeds are done. Any other
word goes to every run, and into the commands on the page, which then wants a folder of its own:
trainer.max_iterations=10 keep=… docs=….
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from gallery_page import page
from ganlab.config.scores import UnknownScore, kind_of
from quality import JACOBIAN, run, score_of


class Shown(NamedTuple):
    """A family's command, the kind of its picture in samples/, and which of its scores are told, the main one first."""

    words: str
    picture: str
    scores: str


POINTS = "w1 modes high_quality mode_kl"
DIGITS = "fd_digits precision recall"
RECONSTRUCTED = "mse psnr"
FAMILIES = {
    "gan": Shown("experiment=ring", "iteration", "modes high_quality mode_kl w1"),
    "dcgan": Shown("experiment=digits_dcgan", "iteration", DIGITS),
    "cgan": Shown("", "iteration", f"{DIGITS} label_agreement"),
    "acgan": Shown("model=acgan", "iteration", f"{DIGITS} accuracy label_agreement"),
    "lsgan": Shown("experiment=digits_lsgan", "iteration", DIGITS),
    "wgan": Shown("experiment=ring_wgan", "iteration", POINTS),
    "wgan_gp": Shown("experiment=ring_wgan_gp", "iteration", POINTS),
    "fgan": Shown("experiment=ring model=fgan", "iteration", POINTS),
    "infogan": Shown("experiment=digits_infogan", "traversal", DIGITS),
    "semi_supervised_gan": Shown("experiment=digits_semi_supervised", "iteration", f"accuracy {DIGITS}"),
    "lapgan": Shown("model=lapgan", "levels", DIGITS),
    "ae": Shown("experiment=digits_ae", "reconstructions", RECONSTRUCTED),
    "sparse_ae": Shown("experiment=digits_sparse", "filters", f"{RECONSTRUCTED} last(sparsity/mean_activation)"),
    "denoising_ae": Shown("experiment=digits_denoising", "reconstructions", f"restored_psnr {RECONSTRUCTED}"),
    "contractive_ae": Shown("experiment=digits_contractive", "filters", f"{RECONSTRUCTED} {JACOBIAN}"),
    "stacked_ae": Shown("experiment=stacked_ae", "reconstructions", RECONSTRUCTED),
    "deep_ae": Shown("experiment=deep_ae", "reconstructions", RECONSTRUCTED),
    "vae": Shown("experiment=digits_vae data.image_size=16 data.margin=1", "manifold", "elbo elbo_kl iw_bound mse"),
}
OPTIONS = {"families": ",".join(FAMILIES), "seeds": "0,1,2", "keep": "outputs/gallery", "docs": "docs", "jobs": "2"}
OWN = ["trainer.progress=false", "trainer.threads=1", "logger.tensorboard=false"]
WIDEST, HEAVIEST = 720, 130_000
"""Pixels along a side, and bytes, of a picture."""


def collected(shown: Shown, others: list[str], seeds: list[int], results: list[dict[str, Any]]) -> dict[str, Any]:
    """What gallery.json holds of a family: its command, and of each score the values by seed."""
    scores = {}
    for name in shown.scores.split():
        of_seeds = [score_of(result, name) for result in results]
        told = of_seeds[0]
        scores[name] = {
            "title": title(name),
            "values": [score["value"] for score in of_seeds],
            **{beside: told[beside] for beside in ("real", "pca") if told.get(beside) is not None},
            **({} if "(" in name else {"better": told["better"]}),
        }
    return {
        "command": " ".join(["python -m ganlab", *shown.words.split(), *others]),
        "seeds": seeds,
        "iterations": results[0]["iterations"],
        "seconds": [round(result["wall_seconds"], 1) for result in results],
        "version": results[0]["version"],
        "scores": scores,
    }


def title(name: str) -> str:
    """What a score means, in a few words; of a logged value its tag."""
    try:
        return kind_of(f"metric/{name}").title
    except UnknownScore:
        return f"the last value of `{name.removeprefix('last(').removesuffix(')')}`"


def last_picture(folder: Path, kind: str) -> Path:
    """The newest picture of a kind in a run's samples/; its name ends in the iteration."""
    name = "iteration_*.png" if kind == "iteration" else f"{kind}_iteration_*.png"
    return max((folder / "samples").glob(name), key=lambda path: path.name)


def save_small(picture: Path, place: Path) -> None:
    """The picture as a PNG of at most `WIDEST` pixels and `HEAVIEST` bytes: of fewer colours, then of fewer pixels."""
    place.parent.mkdir(parents=True, exist_ok=True)
    for width in (WIDEST, WIDEST * 2 // 3, WIDEST // 2):
        image = Image.open(picture).convert("RGB")
        image.thumbnail((width, width), Image.Resampling.LANCZOS)
        image.save(place, optimize=True)
        for colours in (128, 32):
            if place.stat().st_size < HEAVIEST:
                return
            image.quantize(colours, dither=Image.Dither.NONE).save(place, optimize=True)


def made(name: str, seeds: list[int], keep: Path, jobs: int, others: list[str]) -> list[dict[str, Any]]:
    """results.json of a family's seeds, from finished runs where there are any."""
    words = [[*FAMILIES[name].words.split(), f"seed={seed}", *OWN, *others] for seed in seeds]
    folders = [keep / name / f"seed_{seed}" for seed in seeds]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(run, folders, words))


def write(docs: Path) -> None:
    """gallery.md from gallery.json."""
    record = docs / "gallery.json"
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    (docs / "gallery.md").write_text(page(known, list(FAMILIES)), encoding="utf-8")


def add(docs: Path, name: str, entry: dict[str, Any], picture: Path) -> None:
    """Put a family into gallery.json, its picture into gallery/, and write the page."""
    record = docs / "gallery.json"
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    save_small(picture, docs / "gallery" / f"{name}.png")
    known[name] = {**entry, "picture": f"samples/{picture.name}"}
    ordered = {family: known[family] for family in FAMILIES if family in known}
    record.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write(docs)


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "write"]
    given = [word.partition("=") for word in words]
    options = OPTIONS | {key: value for key, _, value in given if key in OPTIONS}
    others = ["".join(word) for word in given if word[0] not in OPTIONS]
    docs, names = Path(options["docs"]), options["families"].split(",")
    if unknown := [name for name in names if name not in FAMILIES]:
        sys.exit(f"families={','.join(unknown)}: no such family; there are {', '.join(FAMILIES)}")
    if others and options["docs"] == OPTIONS["docs"]:
        sys.exit(f"{' '.join(others)}: makes another gallery; give it a folder of its own, docs=… and keep=…")
    if "write" not in sys.argv[1:]:
        seeds = [int(seed) for seed in options["seeds"].split(",")]
        for name in names:
            results = made(name, seeds, Path(options["keep"]).absolute(), int(options["jobs"]), others)
            entry = collected(FAMILIES[name], others, seeds, results)
            add(docs, name, entry, last_picture(results[0]["folder"], FAMILIES[name].picture))
            print(f"{name}: {entry['command']}, {max(entry['seconds']):.0f} s a run", flush=True)
    write(docs)


if __name__ == "__main__":
    main()
