"""The ring that hops: its measures on clouds that are known, its animation, and a short run of it."""

import math

import pytest
import torch
from PIL import Image

from ganlab.claims.finding import Check
from ganlab.claims.frames import Frames
from ganlab.claims.lab import Lab
from ganlab.claims.mode_hopping import CURED, GIF, HOPPING, animate, investigate, measured

ANGLES = torch.arange(8) * (2 * math.pi / 8)
MODES = 2 * torch.stack([ANGLES.cos(), ANGLES.sin()], 1)


def cloud(modes, seed=0):
    """400 points in turn in the given modes, with the ring's deviation."""
    noise = 0.02 * torch.randn(400, 2, generator=torch.Generator().manual_seed(seed))
    return MODES[torch.tensor(modes).repeat(400)[:400]] + noise


def test_a_heap_that_goes_round_is_at_one_mode_and_hops_each_time():
    heap = Frames(list(range(50, 550, 50)), torch.stack([cloud([frame % 8]) for frame in range(10)]))
    told = measured(heap, MODES, 0.02)
    assert told["median"] == 1 and told["hops"] == 9 and told["moving"] == 1
    assert told["most_covered"] == told["covered_at_end"] == 1


def test_a_cloud_that_covers_the_ring_stays():
    whole = Frames(list(range(50, 550, 50)), torch.stack([cloud(range(8), seed) for seed in range(10)]))
    told = measured(whole, MODES, 0.02)
    assert told["median"] == pytest.approx(8) and told["hops"] == 0 and told["moving"] == 0
    assert told["covered_at_end"] == 8


def test_the_animation_has_a_picture_a_frame_all_of_one_size(tmp_path):
    arms = {
        name: Frames([50, 100, 150], torch.stack([cloud([frame]) for frame in places]))
        for name, places in (("goes", (0, 1, 2)), ("stays", (0, 0, 0)))
    }
    animate(arms, cloud(range(8)), tmp_path / GIF)
    with Image.open(tmp_path / GIF) as picture:
        assert picture.n_frames == 3 and picture.info["loop"] == 0
        frames = []
        for frame in range(3):
            picture.seek(frame)
            frames.append(torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8))
    width = picture.width
    first, second = (frame.view(-1, width, 3) for frame in frames[:2])
    changed = (first != second).any(2).any(0)
    # Below the titles and left of the word "iteration" only the arm that goes has changed.
    body = slice(60, None)
    assert changed[: width // 2].any()
    assert not (first[body, width // 2 :] != second[body, width // 2 :]).any()


@pytest.mark.slow
@pytest.mark.long
def test_half_a_run_hops_and_the_cure_holds_more_modes(tmp_path):
    finding = investigate(Lab("mode_hopping", tmp_path, (0,), 0.5, 2))
    by_arm = finding.numbers
    assert by_arm[HOPPING]["median"][0] < by_arm[CURED]["median"][0]
    assert by_arm[HOPPING]["covered_at_end"][0] < by_arm[CURED]["covered_at_end"][0]
    assert by_arm[HOPPING]["moving"][0] > by_arm[CURED]["moving"][0]
    assert all(isinstance(check, Check) and len(check.values) == 1 for check in finding.checks)
    assert (tmp_path / GIF).stat().st_size < 1_000_000
    kept = sorted(path.name for path in (tmp_path / "runs" / "hopping_seed0" / "checkpoints").glob("iteration_*"))
    assert kept == ["iteration_001500.ckpt"]
