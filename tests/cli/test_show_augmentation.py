"""``thalweg show-augmentation``: contact sheets of folders, files and built-in digits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ERASE = "random_erasing(1, area_low=1, area_high=1)"


def sheet(path="augmentation.png"):
    with Image.open(path) as image:
        return np.asarray(image)


def test_digits_are_drawn(thalweg):
    done = thalweg("show-augmentation", "digits", "--augment",
                   "augmentations(random_rotation(10), mixup(0.2))", "--rows", 4, "--columns", 5,
                   "--out", "sheet.png")  # fmt: skip
    assert done.code == 0
    assert "sheet     sheet.png\n" in done.out
    assert "4 of digits, 4 draws of each" in done.out
    assert sheet("sheet.png").shape == (4 * 66 + 2, 5 * 66 + 4)


def test_seeds_decide(thalweg):
    pictures = []
    for seed in (0, 0, 1):
        done = thalweg("show-augmentation", "digits", "--augment", "random_affine", "--seed", seed)
        assert done.code == 0
        pictures.append(sheet())
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_folders_and_files_are_read(thalweg):
    folder = Path("images") / "class"
    folder.mkdir(parents=True)
    for place in range(5):
        Image.new("RGB", (64 + place, 64), (10 * place, 200, 90)).save(folder / f"{place}.png")
    assert thalweg("show-augmentation", "images", "--augment", ERASE, "--rows", 3).code == 0
    picture = sheet()
    assert picture.shape == (3 * 66 + 2, 8 * 66 + 4, 3)
    assert [picture[30 + 66 * row, 30, 0] for row in range(3)] == [0, 20, 40]
    assert (picture[2:66, 70:134] == 0).all()
    assert thalweg("show-augmentation", "images/class/1.png", "--augment", "mixup").code == 0
    assert sheet()[30, 30].tolist() == [10, 200, 90]


def test_arrays_are_read(thalweg):
    x = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((20, 32, 32), np.uint8)
    np.save("x.npy", x)
    np.savez("x.npz", x=x, y=np.arange(20) % 2)
    for name in ("x.npy", "x.npz"):
        done = thalweg("show-augmentation", name, "--augment", ERASE, "--rows", 2, "--columns", 2)
        assert done.code == 0
        assert sheet()[30, 30] == 0
        assert sheet()[100, 30] == 19


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits", "--augment", "random_rotatoin"], "did you mean 'random_rotation'?"),
        (["digits", "--augment", "random_rotation(-1)"], "RandomRotation.degrees = -1 is outside"),
        (["nothing", "--augment", "mixup"], "nothing is not there"),
        (["digits", "--augment", "mixup", "--out", "sheet.gif"], "written as .png"),
        (["digits", "--augment", "mixup", "--columns", 1], "columns = 1 is below 2"),
        (["digits"], "--augment"),
    ],
)
def test_wrong_calls_are_refused(thalweg, words, message):
    done = thalweg("show-augmentation", *words)
    assert done.code in {1, 2}
    assert message in done.err
    assert "Traceback" not in done.err


def test_an_empty_folder_is_refused(thalweg):
    Path("empty").mkdir()
    done = thalweg("show-augmentation", "empty", "--augment", "mixup")
    assert done.code == 1
    assert "holds no image files" in done.err


def test_help_names_the_augmentations(thalweg):
    done = thalweg("show-augmentation", "-h")
    assert done.code == 0
    for name in ("random_rotation", "random_erasing", "mixup", "augmentations"):
        assert name in done.out


def test_what_is_no_image_is_left_out_and_said(thalweg):
    folder = Path("images") / "class"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"no image")
    for place in range(3):
        Image.new("L", (16, 16), 40 * place).save(folder / f"{place}.png")
    done = thalweg("show-augmentation", "images", "--augment", ERASE, "--rows", 4)
    assert done.code == 0
    assert "left out" in done.err
    assert "a.png" in done.err
    assert "3 of images" in done.out
