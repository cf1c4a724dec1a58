import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ganlab.pictures import back_and_forth, interpolation_frames, interpolation_strip, save_gif, to_bytes
from ganlab.pictures.grid import MARGIN


def walks(count: int, steps: int) -> torch.Tensor:
    images = torch.tensor(load_digits().images[: 2 * count], dtype=torch.float32)[:, None, None] / 8 - 1
    share = torch.linspace(0, 1, steps).view(1, -1, 1, 1, 1)
    return (1 - share) * images[:count] + share * images[count:]


def test_strip_walks_along_its_rows():
    images = walks(3, 5)
    picture = np.asarray(interpolation_strip(images))
    assert picture.shape == (2 * MARGIN + 3 * 64 + 2 * 2, 2 * MARGIN + 5 * 64 + 4 * 2, 3)
    corners = picture[MARGIN::66, MARGIN::66, 0][:3, :5]
    assert np.array_equal(corners, to_bytes(images[:, :, 0, 0, 0]).numpy())


def test_back_and_forth_meets_each_end_once():
    assert back_and_forth([1, 2, 3, 4]) == [1, 2, 3, 4, 3, 2]
    assert back_and_forth([1, 2]) == [1, 2]


def test_gif_has_all_frames_their_duration_and_loops_for_ever(tmp_path):
    frames = back_and_forth(interpolation_frames(walks(2, 6), ["a", "b"]))
    save_gif(frames, tmp_path / "walk.gif", milliseconds=70)
    assert [entry.name for entry in tmp_path.iterdir()] == ["walk.gif"]
    with Image.open(tmp_path / "walk.gif") as gif:
        assert gif.n_frames == 10 and gif.info["loop"] == 0 and gif.size == frames[0].size
        for index, frame in enumerate(frames):
            gif.seek(index)
            assert gif.info["duration"] == 70
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - np.asarray(frame)).max() <= 8
