"""`ganlab.evaluate images=A reference=B`: two folders of anyone's images."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.data.digits import digit_images, stratified_split
from ganlab.metrics.frechet import FrechetDistance, GaussianStatistics
from ganlab.tasks import evaluate


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(folder, arrays, suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for index, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{index:04d}.{suffix}")


@pytest.fixture
def evaluated(commanded, tmp_path):
    """evaluated("images=a", "reference=b"): exit code, output, errors, and the one evaluation that was written."""

    def run(*words):
        answer = commanded(evaluate.main, *words)
        written = sorted(tmp_path.glob("outputs/evaluations/*/results.json"))
        return (*answer, json.loads(written[-1].read_text())["evaluations"][0] if written else None)

    return run


@pytest.fixture(scope="module")
def halves():
    images, labels = digit_images(16, 1)
    train, test = stratified_split(labels, 0.5, 0)
    return images[train, 0].numpy(), images[test, 0].numpy()


def test_digits_against_digits_by_the_digits_extractor(evaluated, tmp_path, halves):
    for name, half in zip(("a", "b"), halves, strict=True):
        write(tmp_path / name, half[:300])
    code, out, err, told = evaluated("images=a", "reference=b", "extractor=digits")
    assert code == 0, err
    scores = {tag.removeprefix("metric/"): score for tag, score in told["scores"].items()}
    assert list(scores) == [
        "fd_digits", "kd_digits", "precision", "recall", "density", "coverage", "auth_pct", "one_nn", "ms_ssim",
    ]  # fmt: skip
    from ganlab.metrics.extractors.base import extract
    from ganlab.metrics.extractors.digits import Digits

    features = [extract(Digits(), torch.from_numpy(half[:300]).unsqueeze(1), 64, "cpu").features for half in halves]
    metric = FrechetDistance(GaussianStatistics.of(features[1]))
    metric.update(features[0])
    assert scores["fd_digits"]["value"] == pytest.approx(float(metric.compute()), rel=1e-6)
    protocol = scores["fd_digits"]["protocol"]
    assert (protocol["count"], protocol["reference_count"], protocol["sample_shape"]) == (300, 300, [1, 16, 16])
    assert protocol["scaled"] == "as they are" and len(protocol["images_sha256"]) == 64
    assert protocol["extractor"]["extractor"] == "digits"
    assert "a (300 images) against b (300) · 1×16×16" in out and "fd_digits" in out
    assert "written: outputs/evaluations/" in out


def test_a_folder_against_itself_and_without_asking_for_an_extractor(evaluated, tmp_path):
    write(tmp_path / "a", [noise(12, 20, 3, seed=index) for index in range(8)])
    code, out, err, told = evaluated("images=a", "reference=a")
    assert code == 0, err
    scores = told["scores"]
    assert abs(scores["metric/fd_random_conv"]["value"]) < 1e-9
    assert scores["metric/precision"]["value"] == scores["metric/coverage"]["value"] == 1.0
    assert scores["metric/auth_pct"]["value"] == 0.0
    assert "for FID and KID by Inception: metrics=[fid,kid]" in out


def test_out_names_the_folder_and_what_was_there_stays(evaluated, tmp_path):
    write(tmp_path / "a", [noise(8, 8, seed=index) for index in range(3)])
    words = ["images=a", "reference=a", "metrics=fd", "out=scores"]
    for _ in range(2):
        assert evaluated(*words)[0] == 0
    assert len(json.loads((tmp_path / "scores" / "results.json").read_text())["evaluations"]) == 2
    (tmp_path / "scores" / "results.json").write_text("[]")
    code, out, err, _ = evaluated(*words)
    assert (code, out) == (2, "") and "is not a run's results" in err


def test_few_images_leave_out_what_needs_more_and_say_so(evaluated, tmp_path):
    write(tmp_path / "a", [noise(8, 8, seed=index) for index in range(4)])
    code, out, err, told = evaluated("images=a", "reference=a")
    assert code == 0, err
    assert "left out: precision, recall, density, coverage: 4 images are too few" in out
    assert "metric/recall" not in told["scores"] and "metric/one_nn" in told["scores"]
    code, _, err, _ = evaluated("images=a", "reference=a", "metrics=recall")
    assert code == 2 and "recall: at least 6 images are needed in each folder, and there are 4" in err


def test_fewer_than_two_images(evaluated, tmp_path):
    write(tmp_path / "a", [noise(8, 8)])
    write(tmp_path / "b", [noise(8, 8, seed=index) for index in range(8)])
    for words, key in ((["images=a", "reference=b"], "images=a"), (["images=b", "reference=a"], "reference=a")):
        code, out, err, _ = evaluated(*words)
        assert (code, out) == (2, "")
        assert err.strip() == f"{key}: 1 readable images; scores need at least 2"


def test_other_sizes_and_channels_are_refused_in_a_line(evaluated, tmp_path):
    write(tmp_path / "a", [noise(8, 8, seed=index) for index in range(8)])
    write(tmp_path / "b", [noise(12, 12, seed=index) for index in range(8)])
    write(tmp_path / "c", [noise(8, 8, 3, seed=index) for index in range(8)])
    write(tmp_path / "d", [noise(8, 8 + index) for index in range(3)])
    for words, line in [
        (("a", "b"), "images=a are 8×8 and reference=b 12×12: scores would compare the sizes; set size=12"),
        (("a", "c"), "images=a are gray and reference=c in colour"),
        (("d", "a"), "images=d: images of 3 sizes"),
    ]:
        code, out, err, told = evaluated(f"images={words[0]}", f"reference={words[1]}")
        assert (code, out, told) == (2, "", None)
        assert err.startswith(line) and len(err.strip().splitlines()) == 1
    assert evaluated("images=a", "reference=c", "size=8")[2].startswith("images=a are gray and reference=c in colour")
    code, _, err, told = evaluated("images=a", "reference=b", "size=8", "metrics=fd")
    assert code == 0, err
    assert told["scores"]["metric/fd_random_conv"]["protocol"]["scaled"] == "centred square, Pillow bicubic to 8"


def test_an_unreadable_image_stops_or_is_left_out_as_asked(evaluated, tmp_path):
    write(tmp_path / "a", [noise(8, 8, seed=index) for index in range(4)])
    (tmp_path / "a" / "broken.png").write_bytes(b"no image")
    whole = (tmp_path / "a" / "0003.png").read_bytes()
    (tmp_path / "a" / "0003.png").write_bytes(whole[:-30])
    words = ["images=a", "reference=a", "metrics=fd"]
    code, out, err, told = evaluated(*words)
    assert (code, out, told) == (2, "", None)
    assert "1 of 5 images cannot be read: broken.png (cannot identify it as an image)" in err
    assert "set on_corrupt=skip" in err and len(err.strip().splitlines()) == 1
    code, out, err, told = evaluated(*words, "on_corrupt=skip")
    assert code == 0
    assert "warning: a: 2 of 5 images cannot be read:" in err and "0003.png" in err and "broken.png" in err
    protocol = told["scores"]["metric/fd_random_conv"]["protocol"]
    assert (protocol["count"], protocol["left_out"]) == (3, 2)


def test_scores_that_folders_do_not_offer_are_refused(evaluated, tmp_path):
    write(tmp_path / "a", [noise(8, 8, seed=index) for index in range(4)])
    for name, reason in [
        ("w1", "metrics=w1: it cannot be computed of two folders of images"),
        ("label_agreement", "metrics=label_agreement: it cannot be computed"),
        ("fd_nothing", "metrics=fd_nothing: that is fd by the extractor nothing"),
    ]:
        code, out, err, _ = evaluated("images=a", "reference=a", f"metrics={name}")
        assert (code, out) == (2, "") and err.startswith(reason), err
