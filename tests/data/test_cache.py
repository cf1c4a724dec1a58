import json
import logging
import os
import shutil
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from ganlab.data import cache
from ganlab.data.cache import decoded_images
from ganlab.data.decode import Preprocessing
from ganlab.errors import DataError, OutputError

PREPROCESSING = Preprocessing(3, 8)
NAMES = ["a.png", "b/c.png", "b/d.png"]


@pytest.fixture
def folder(tmp_path):
    """Three images of one colour each: 10, 20, 30."""
    for number, name in enumerate(NAMES):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 10), (10 + 10 * number,) * 3).save(path)
    return tmp_path / "images"


@pytest.fixture
def work(monkeypatch):
    """What was done: "read" for a pass over all bytes, "decode" for a build."""
    done = []
    for name, entry in (("_content_key", "read"), ("_build", "decode")):
        original = getattr(cache, name)
        monkeypatch.setattr(cache, name, lambda *a, o=original, e=entry: (done.append(e), o(*a))[1])
    return done


def opened(folder, cache_dir, preprocessing=PREPROCESSING, names=NAMES, skip_corrupt=False):
    return decoded_images(folder, names, preprocessing, cache_dir, skip_corrupt=skip_corrupt)


def values(decoded):
    return decoded.images[:, 0, 0, 0].tolist()


def built(cache_dir):
    """The caches in a folder; nothing may lie beside them."""
    entries = {entry.name for entry in cache_dir.iterdir()}
    assert all(len(name) == 64 for name in entries - {"listings"})
    return sorted(entries - {"listings"})


def test_decoded_once_and_then_mapped(folder, cache_dir, work):
    first = opened(folder, cache_dir)
    assert values(first) == [10, 20, 30] and first.names == NAMES and first.skipped == {}
    assert first.images.shape == (3, 3, 8, 8) and first.images.dtype == np.uint8
    assert isinstance(first.images, np.memmap) and not first.images.flags.writeable
    assert work == ["read", "decode"]
    assert values(opened(folder, cache_dir)) == [10, 20, 30]
    assert work == ["read", "decode"]
    assert len(built(cache_dir)) == 1


def test_numpy_reads_it_without_pickle(folder, cache_dir):
    opened(folder, cache_dir)
    images = np.load(cache_dir / built(cache_dir)[0] / "images.npy", allow_pickle=False)
    assert images[:, 2, 7, 7].tolist() == [10, 20, 30]


def test_touched_files_are_read_and_not_decoded(folder, cache_dir, work):
    opened(folder, cache_dir)
    os.utime(folder / "a.png", (1, 1))
    assert values(opened(folder, cache_dir)) == [10, 20, 30]
    assert work == ["read", "decode", "read"]
    opened(folder, cache_dir)
    assert work == ["read", "decode", "read"]


def test_a_copy_elsewhere_is_read_and_not_decoded(folder, cache_dir, work, tmp_path):
    opened(folder, cache_dir)
    shutil.copytree(folder, tmp_path / "copy")
    assert values(opened(tmp_path / "copy", cache_dir)) == [10, 20, 30]
    assert work == ["read", "decode", "read"]
    assert len(built(cache_dir)) == 1


def test_a_changed_image_is_decoded_even_with_its_old_size_and_time(folder, cache_dir, work):
    opened(folder, cache_dir)
    path = folder / "a.png"
    before = path.stat()
    Image.new("RGB", (12, 10), (11, 11, 11)).save(path)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert values(opened(folder, cache_dir)) == [11, 20, 30]
    assert work == ["read", "decode"] * 2
    assert len(built(cache_dir)) == 2


def test_names_and_preprocessing_belong_to_the_key(folder, cache_dir, work):
    opened(folder, cache_dir)
    for other in (
        Preprocessing(1, 8),
        Preprocessing(3, 16),
        Preprocessing(3, 8, fit="pad"),
        Preprocessing(3, 8, crop=4),
    ):
        assert opened(folder, cache_dir, other).images.shape[1:] == (other.channels, other.size, other.size)
    (folder / "a.png").rename(folder / "e.png")
    assert opened(folder, cache_dir, names=["b/c.png", "b/d.png", "e.png"]).names[2] == "e.png"
    assert values(opened(folder, cache_dir, names=["e.png"])) == [10]
    assert work == ["read", "decode"] * 7
    assert len(built(cache_dir)) == 7


def truncate(place):
    path = place / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(place):
    with (place / "images.npy").open("ab") as file:
        file.write(b"\0")


def spoil_header(place):
    with (place / "images.npy").open("r+b") as file:
        file.write(b"\0" * 20)


def change_a_name(place):
    path = place / "names"
    path.write_bytes(path.read_bytes().replace(b"a.png", b"z.png"))


def lose_a_name(place):
    path = place / "names"
    path.write_bytes(path.read_bytes().partition(b"\0")[2])


def remove_names(place):
    (place / "names").unlink()


def change_the_shape(place):
    path = place / "rows.json"
    path.write_bytes(path.read_bytes().replace(b"[3, 3, 8, 8]", b"[2, 3, 8, 8]"))


def pickle_in_place(place):
    np.save(place / "images.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def other_array(place):
    np.save(place / "images.npy", np.zeros((2, 3, 8, 8), np.uint8))


def empty_rows(place):
    (place / "rows.json").write_bytes(b"")


def remove_images(place):
    (place / "images.npy").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        *(truncate, lengthen, spoil_header, pickle_in_place, other_array, remove_images),
        *(change_a_name, lose_a_name, remove_names, change_the_shape, empty_rows),
    ],
)
def test_a_damaged_cache_is_built_anew_with_a_warning(folder, cache_dir, work, caplog, damage):
    opened(folder, cache_dir)
    damage(cache_dir / built(cache_dir)[0])
    with caplog.at_level(logging.WARNING):
        again = opened(folder, cache_dir)
    assert values(again) == [10, 20, 30] and again.names == NAMES
    assert work.count("decode") == 2
    assert "is damaged" in caplog.text and "built anew" in caplog.text
    assert len(built(cache_dir)) == 1


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../../etc", b"0" * 64])
def test_a_damaged_alias_is_ignored(folder, cache_dir, work, content):
    opened(folder, cache_dir)
    (alias,) = (cache_dir / "listings").iterdir()
    alias.write_bytes(content)
    assert values(opened(folder, cache_dir)) == [10, 20, 30]
    assert work == ["read", "decode", "read"]


def test_a_map_outlives_its_replacement(folder, cache_dir):
    first = opened(folder, cache_dir)
    shutil.rmtree(cache_dir)
    second = opened(folder, cache_dir)
    assert values(first) == values(second) == [10, 20, 30]
    assert first.names == second.names == NAMES


def test_a_cache_is_opened_without_memory_for_its_images_and_names(tmp_path, monkeypatch):
    names = [f"{number:040d}.png" for number in range(200_000)]
    images = np.arange(200_000, dtype=np.uint32).view(np.uint8).reshape(-1, 1, 2, 2)
    place = tmp_path / ("0" * 64)
    place.mkdir()
    cache.write_cache(place, images.reshape(20, 10_000, 1, 2, 2), names, {"left_out.png": "why"})
    original, asked = cache._names_from, []
    monkeypatch.setattr(cache, "_names_from", lambda listed: (asked.append(len(listed)), original(listed))[1])
    tracemalloc.start()
    found = cache._open(place)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert asked == [] and peak < 2.5 * cache.CHUNK < 45 * 200_000 / 3
    assert np.array_equal(found.images, images) and found.skipped == {"left_out.png": "why"}
    assert found.names == names and asked == [45 * 200_000 - 1]


def test_a_corrupt_image_is_refused_by_name_and_leaves_nothing(folder, cache_dir):
    (folder / "b/c.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=rf"{folder}/b/c\.png: not a readable image .*data\.on_corrupt=skip") as refused:
        opened(folder, cache_dir)
    assert "\n" not in str(refused.value)
    assert not cache_dir.exists() or built(cache_dir) == []


def test_a_corrupt_image_is_skipped_if_asked(folder, cache_dir, work):
    (folder / "b/c.png").write_bytes(b"nonsense")
    for _ in range(2):
        decoded = opened(folder, cache_dir, skip_corrupt=True)
        assert values(decoded) == [10, 30] and decoded.names == ["a.png", "b/d.png"]
        assert list(decoded.skipped) == ["b/c.png"] and "identify" in decoded.skipped["b/c.png"]
    assert work == ["read", "decode"]
    with pytest.raises(DataError, match=r"b/c\.png"):
        opened(folder, cache_dir)


def test_nothing_but_corrupt_images_is_refused(folder, cache_dir):
    for name in NAMES:
        (folder / name).write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"none of its 3 images can be read \(a\.png"):
        opened(folder, cache_dir, skip_corrupt=True)


def test_the_loser_of_a_race_takes_what_the_winner_built(folder, cache_dir, monkeypatch):
    fill, raced = cache._fill, []

    def raced_fill(target, *arguments):
        fill(target, *arguments)
        if not raced:
            raced.append(True)
            opened(folder, cache_dir)  # another process finishes first
            raced.append((cache_dir / built_now(cache_dir)).stat().st_ino)

    monkeypatch.setattr(cache, "_fill", raced_fill)
    assert values(opened(folder, cache_dir)) == [10, 20, 30]
    (place,) = built(cache_dir)
    assert (cache_dir / place).stat().st_ino == raced[1]


def built_now(cache_dir):
    return next(entry.name for entry in cache_dir.iterdir() if len(entry.name) == 64)


def test_processes_that_build_at_once_all_get_it_whole(folder, cache_dir):
    code = (
        "import sys; from pathlib import Path; from ganlab.data.cache import decoded_images\n"
        "from ganlab.data.decode import Preprocessing\n"
        f"names = {NAMES!r}\n"
        "while not Path(sys.argv[3]).exists(): pass\n"
        "d = decoded_images(Path(sys.argv[1]), names, Preprocessing(3, 8), Path(sys.argv[2]), skip_corrupt=False)\n"
        "print(d.images[:, 0, 0, 0].tolist(), d.names == names)"
    )
    start = folder.parent / "start"
    command = [sys.executable, "-c", code, str(folder), str(cache_dir), str(start)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    time.sleep(1)
    start.touch()
    for process in processes:
        assert process.communicate(timeout=60)[0].strip() == "[10, 20, 30] True"
    assert len(built(cache_dir)) == 1


def test_a_killed_builds_leftovers_are_removed_after_a_day(folder, cache_dir):
    cache_dir.mkdir()
    for name, age in ((".old.tmp", 2 * cache.STALE), (".new.tmp", 60)):
        (cache_dir / name).mkdir()
        (cache_dir / name / "images.npy").touch()
        for path in (cache_dir / name / "images.npy", cache_dir / name):
            os.utime(path, (time.time() - age,) * 2)
    opened(folder, cache_dir)
    assert not (cache_dir / ".old.tmp").exists() and (cache_dir / ".new.tmp").exists()


def test_a_full_disk_is_told_and_leaves_nothing(folder, cache_dir, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_flush", full)
    with pytest.raises(OutputError, match=r"data\.cache_dir=.*\(No space left on device\); choose another folder"):
        opened(folder, cache_dir)
    assert built(cache_dir) == []


def test_many_images_by_threads_are_the_same_as_one_by_one(tmp_path, cache_dir):
    random = np.random.default_rng(0)
    (tmp_path / "many").mkdir()
    names = [f"{number:03d}.png" for number in range(150)]
    originals = random.integers(0, 256, (150, 8, 8, 3), dtype=np.uint8)
    for name, image in zip(names, originals, strict=True):
        Image.fromarray(image).save(tmp_path / "many" / name)
    decoded = opened(tmp_path / "many", cache_dir, names=names)
    assert np.array_equal(decoded.images, originals.transpose(0, 3, 1, 2))


def test_names_of_any_alphabet_and_odd_bytes(tmp_path, cache_dir):
    folder = tmp_path / "odd"
    folder.mkdir()
    names = sorted(["日本.png", "with space.png", os.fsdecode(b"caf\xe9.png"), 'quote".png'])
    for name in names:
        Image.new("L", (8, 8), 9).save(folder / name, format="PNG")
    for _ in range(2):
        assert opened(folder, cache_dir, names=names).names == names
    checksum, _, content = (cache_dir / built(cache_dir)[0] / "rows.json").read_bytes().partition(b"\n")
    assert len(checksum) == 64 and json.loads(content)["shape"] == [4, 3, 8, 8]
    assert (cache_dir / built(cache_dir)[0] / "names").read_bytes() == b"\0".join(map(os.fsencode, names))
