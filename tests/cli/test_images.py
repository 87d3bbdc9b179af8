"""``thalweg train`` and ``predict`` with images: what they say, leave and refuse."""

import json
import shlex
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import thalweg as tw
from thalweg.cli.images import parse_size
from thalweg.errors import SettingError

DENSE = "sequential(flatten, linear(4), relu, linear(2))"
FAST = ("--network", DENSE, "--epochs", 2)


@pytest.fixture
def folder(tmp_path, rng):
    """Forty grey images of 5 x 4 pixels in two classes, dark and light."""
    for place in range(40):
        label, value = ("dark", "light")[place % 2], (20, 190)[place % 2]
        inside = tmp_path / "photos" / label
        inside.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(value, value + 50, (4, 5), dtype=np.uint8)
        Image.fromarray(pixels).save(inside / f"{place:02}.png")
    return "photos"


def test_training_says_what_it_does_and_leaves_a_model(thalweg, folder):
    done = thalweg("train", folder, *FAST)
    assert done.code == 0
    for text in (
        "photos: 40 images of 5x4 L, 2 classes",
        "class  images",
        "dark       20",
        "images    24 for training, 8 for validation, 8 for test",
        f"network   {DENSE}: 94 parameters",
        "training  adam, learning rate 0.002 falling to 0, batches of 16, at most 2 epochs, seed 0",
        "Results on 8 test images that no training saw",
        "majority class",
        "predicted class by column, true class by row",
        f"model     {Path('runs/photos/model.safetensors')}",
        "use it    thalweg predict",
    ):
        assert text in done.out, text
    assert "epoch 1/2: training loss" in done.err
    words = shlex.split(done.out.splitlines()[-1].removeprefix("use it"))
    assert words[:2] == ["thalweg", "predict"]
    assert thalweg(*words[1:]).code == 0
    shown = thalweg("summary", "runs/photos").out
    assert "images               5x4 L" in shown
    assert "one of 2 classes (dark, light)" in shown


def test_predictions_are_printed_written_and_sent_as_json(thalweg, folder):
    network = "sequential(flatten, linear(2))"
    words = ("--network", network, "--epochs", 60, "--learning-rate", 0.05)
    assert thalweg("train", folder, *words).code == 0
    files = ["photos/dark/00.png", "photos/light/01.png"]
    done = thalweg("predict", "runs/photos", *files)
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert [line[:2] for line in lines] == [[files[0], "dark"], [files[1], "light"]]
    assert all(0.5 <= float(line[2]) <= 1 for line in lines)
    assert len(thalweg("predict", "runs/photos", "photos").out.splitlines()) == 40
    rows = [json.loads(line) for line in thalweg(
        "predict", "runs/photos", *files, "--json").out.splitlines()]  # fmt: skip
    assert [row["class"] for row in rows] == ["dark", "light"]
    for row in rows:
        assert row["probability"] == max(row["probabilities"].values())
        assert sum(row["probabilities"].values()) == pytest.approx(1)
    done = thalweg("predict", "runs/photos", *files, "--out", "found.csv")
    assert (done.code, done.out) == (0, "")
    text = Path("found.csv").read_text().splitlines()
    assert text[0] == "path,prediction,probability_dark,probability_light"
    assert text[1].startswith("photos/dark/00.png,dark,")
    shares = tw.load("runs/photos/model.safetensors").predict_proba(files)
    np.testing.assert_allclose([float(x) for x in text[2].split(",")[2:]], shares[1], rtol=1e-6)


def test_json_holds_the_results(thalweg, folder):
    done = thalweg("train", folder, *FAST, "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line.get("epoch") for line in lines] == [1, 2, None]
    last = lines[-1]
    assert last["classes"] == ["dark", "light"]
    assert (last["size"], last["channels"]) == ([5, 4], 1)
    assert last["images"] == {"train": 24, "validation": 8, "test": 8}
    assert np.sum(last["confusion"]) == 8
    assert last["by_class"][0]["name"] == "dark"
    assert thalweg("train", folder, *FAST, "--quiet").out == ""


def write_idx(path, array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    Path(path).write_bytes(head + array.astype(np.uint8).tobytes())


def test_idx_and_npz_files_are_trained_on_and_predicted(thalweg, rng):
    x, y = rng.integers(0, 256, (40, 4, 5)), np.arange(40) % 2
    write_idx("train-images-idx3-ubyte", x)
    refused = thalweg("train", "train-images-idx3-ubyte", *FAST)
    assert (refused.code, "--labels" in refused.err) == (2, True)
    write_idx("train-labels-idx1-ubyte", y)
    done = thalweg("train", "train-images-idx3-ubyte", *FAST)
    assert done.code == 0
    assert "40 images of 5x4 L" in done.out
    place = "runs/train-images-idx3-ubyte"
    lines = thalweg("predict", place, "train-images-idx3-ubyte").out.splitlines()
    assert len(lines) == 40
    assert lines[7].startswith("train-images-idx3-ubyte[7] ")
    np.savez("set.npz", x=x.astype(np.uint8), y=y)
    assert thalweg("train", "set.npz", *FAST, "--standardise").code == 0
    assert len(thalweg("predict", "runs/set", "set.npz").out.splitlines()) == 40
    write_idx("few-labels", y[:9])
    done = thalweg("train", "train-images-idx3-ubyte", "--labels", "few-labels", *FAST)
    assert done.code == 1
    assert "40 images, but 9 labels" in done.err


def test_damaged_files_are_named_or_refused(thalweg, folder):
    Path("photos/dark/cut.png").write_bytes(Path("photos/dark/00.png").read_bytes()[:40])
    done = thalweg("train", folder, *FAST)
    assert done.code == 0
    assert "warning: photos: left out 1 file that is no whole image: dark/cut.png" in done.err
    done = thalweg("train", folder, *FAST, "--strict")
    assert done.code == 1
    assert "1 file that is no whole image: dark/cut.png" in done.err
    done = thalweg("predict", "runs/photos", "photos/dark/00.png", "photos/dark/cut.png")
    assert done.code == 1
    assert done.err.startswith("error: photos/dark/cut.png is")
    assert thalweg("predict", "runs/photos", "photos", "--out", "x.csv").code == 1
    assert not Path("x.csv").exists()


def test_other_sizes_need_resize(thalweg, folder):
    Image.new("RGB", (9, 9)).save("photos/dark/big.png")
    done = thalweg("train", folder, *FAST)
    assert done.code == 1
    assert "dark/big.png (9x9 RGB)" in done.err
    assert "add --resize 5x4 --mode RGB" in done.err
    done = thalweg("train", folder, *FAST, "--resize", "6x6", "--mode", "RGB")
    assert done.code == 0
    assert "41 images of 6x6 RGB" in done.out
    done = thalweg("predict", "runs/photos", "photos/dark/00.png")
    assert done.code == 1
    assert "5x4 L, but the model was trained on images of 6x6 RGB" in done.err
    assert thalweg("predict", "runs/photos", "photos/dark/00.png", "--resize").code == 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("photos", "--target", "y"), 2, "--target is for tables, but photos holds images"),
        (("photos", "--hidden", "4"), 2, "--hidden is for tables, but photos holds images"),
        (("iris", "--resize", "4x4"), 2, "--resize is for images, but iris is a table"),
        (("iris", "--model", "lenet5"), 2, "--model is for images, but iris is a table"),
        (("photos", "--model", "lenett"), 2, "unknown model 'lenett'; did you mean 'lenet5'"),
        (("photos", "--model", "lenet5", "--network", DENSE), 2, "give one of them"),
        (("photos", "--resize", "4"), 2, "--resize takes width and height, such as 32x32"),
        (("photos", "--mode", "CMYK", "--network", DENSE), 2, "mode = 'CMYK' is not one of L, RGB"),
        (("photos", "--labels", "x", "--network", DENSE), 2, "leave labels out"),
        (("photos", "--epochs", "0", "--network", DENSE), 2, "epochs must be a whole number"),
        (("photos/dark", "--network", DENSE), 1, "holds no folders"),
        (("photos", "--network", "sequential(flatten, linear(3))"), 2, "there are 2 classes"),
        (("broken.idx3-ubyte",), 1, "is no IDX file"),
    ],
)
def test_wrong_calls_end_with_one_clear_line(thalweg, folder, words, code, text):
    Path("broken.idx3-ubyte").write_bytes(b"\0\0\x77\x03 nothing")
    done = thalweg("train", *words)
    assert done.code == code
    assert text in done.err
    assert done.err.count("error:") == 1
    assert not Path("runs").exists()


def test_wrong_predictions_end_with_one_clear_line(thalweg, folder):
    assert thalweg("train", folder, *FAST).code == 0
    assert thalweg("train", "iris", "--epochs", 1).code == 0
    for words, code, text in [
        (("runs/photos", "none.png"), 1, "no file or folder 'none.png'"),
        (("runs/photos", "runs"), 1, "holds no image files"),
        (("runs/photos",), 2, "Missing argument"),
        (("runs/iris", "iris", "iris"), 2, "several files are for models of images"),
        (("runs/iris", "iris", "--json"), 2, "--json is for models of images"),
        (("runs/iris", "iris", "--resize"), 2, "--resize is for models of images"),
    ]:
        done = thalweg("predict", *words)
        assert done.code == code, words
        assert text in done.err
    same = "photos/dark/00.png"
    done = thalweg("predict", "runs/photos", same, "--out", same)
    assert (done.code, "would replace" in done.err) == (2, True)


def test_a_model_of_other_images_is_not_replaced(thalweg, folder):
    assert thalweg("train", folder, *FAST, "--out", "run").code == 0
    again = thalweg("train", folder, *FAST, "--out", "run")
    assert again.code == 0
    assert "an earlier model of the same images, will be replaced" in again.err
    Path("photos").rename("other")
    done = thalweg("train", "other", *FAST, "--out", "run")
    assert done.code == 2
    assert "holds another model (photos)" in done.err
    assert thalweg("train", "other", *FAST, "--out", "run", "--overwrite").code == 0
    done = thalweg("train", "other", *FAST, "--out", "run", "--resume")
    assert "is not there, so that training starts from the beginning" in done.err


def test_file_names_steer_no_terminal_and_no_spreadsheet(thalweg, folder):
    assert thalweg("train", folder, *FAST).code == 0
    name = "=1+1\x1b[31m.png"
    Path("photos/dark/00.png").rename(name)
    assert "\x1b" not in thalweg("predict", "runs/photos", name).out
    assert thalweg("predict", "runs/photos", name, "--out", "x.csv").code == 0
    assert Path("x.csv").read_text().splitlines()[1].startswith("'=1+1")


def test_sizes_are_read():
    assert parse_size("32x24") == parse_size("32X24") == parse_size("32×24") == (32, 24)
    for text in ("32", "x", "3x4x5", "-3x4", "3.5x4"):
        with pytest.raises(SettingError):
            parse_size(text)


def test_idx_with_a_wrong_magic_number_is_called_so(thalweg):
    Path("w-images-idx3-ubyte").write_bytes(bytes([1, 2, 8, 3]) + bytes(40))
    for words in ([], ["--model", "lenet5"]):
        done = thalweg("train", "w-images-idx3-ubyte", *words)
        assert done.code == 1
        assert "is no IDX file" in done.err


def test_a_missing_folder_is_called_missing(thalweg):
    done = thalweg("train", "nothing", "--model", "lenet5")
    assert done.code == 1
    assert "there is no file or folder 'nothing'" in done.err
