"""Images from files and folders: modes, sizes, damage, and what becomes of each."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from thalweg.data.image_arrays import is_array_file, read_image_arrays, read_image_rows
from thalweg.data.image_encoder import ImageEncoder, resized
from thalweg.data.image_folder import image_files, read_folder
from thalweg.data.image_set import labelled_images
from thalweg.data.images import MOST_PIXELS, ImageForm, read_form, read_images, shared_form
from thalweg.errors import DataError, DescriptionError, FileError, SettingError, ShapeError


def picture(path, pixels, **options):
    """Write an array as an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def grey(value, height=3, width=4):
    return np.full((height, width), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of four grey images each, one of them in a folder within."""
    for place in range(4):
        picture(tmp_path / "set" / "cat" / f"{place}.png", grey(10 + place))
        inner = "deep/" if place == 3 else ""
        picture(tmp_path / "set" / "dog" / f"{inner}{place}.bmp", grey(200 + place))
    return tmp_path / "set"


# ------------------------------------------------------------------ single files


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "webp"])
def test_lossless_formats_keep_every_pixel(tmp_path, suffix, rng):
    pixels = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    path = picture(tmp_path / f"a.{suffix}", pixels, **options)
    found = read_images(path, mode="L")
    assert found.shape == (1, 5, 7, 1)
    np.testing.assert_array_equal(found[0, :, :, 0], pixels)


def test_jpeg_is_read_within_its_loss(tmp_path):
    path = picture(tmp_path / "a.jpg", np.full((16, 16, 3), 90))
    found = read_images([path])
    assert found.shape == (1, 16, 16, 3)
    assert np.abs(found.astype(int) - 90).max() <= 2


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    values = np.array([[0, 255, 256], [32768, 65279, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    found = read_images(tmp_path / "deep.png")
    np.testing.assert_array_equal(found[0, :, :, 0], [[0, 0, 1], [128, 254, 255]])


def test_black_and_white_becomes_0_and_255(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    assert read_images(tmp_path / "bits.png").tolist() == [[[[255], [0]]]]


def test_palettes_become_colours(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "palette.png")
    assert read_images(tmp_path / "palette.png").tolist() == [[[[1, 2, 3], [40, 50, 60]]]]


def test_what_is_transparent_lies_over_white(tmp_path):
    colours = np.array([[[9, 9, 9, 0], [9, 19, 29, 255]]], np.uint8)
    Image.fromarray(colours).save(tmp_path / "clear.png")
    assert read_images(tmp_path / "clear.png").tolist() == [[[[255, 255, 255], [9, 19, 29]]]]
    Image.fromarray(np.array([[[7, 0], [7, 255]]], np.uint8), "LA").save(tmp_path / "grey.png")
    assert read_images(tmp_path / "grey.png").tolist() == [[[[255], [7]]]]
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "palette.png", transparency=0)
    assert read_images(tmp_path / "palette.png").tolist() == [[[[255] * 3, [40, 50, 60]]]]


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 0, 0, 255)).save(tmp_path / "print.jpg")
    assert read_form(tmp_path / "print.jpg") == ImageForm(8, 8, "RGB")
    assert read_images(tmp_path / "print.jpg").max() < 20


def test_of_an_animation_the_first_image_counts(tmp_path):
    frames = [Image.fromarray(grey(value)) for value in (30, 90)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert np.unique(read_images(tmp_path / "film.gif", mode="L")).tolist() == [30]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_exif_orientation_is_applied(tmp_path, suffix):
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, :8] = 255  # the left half is white
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: left becomes top
    image.save(tmp_path / f"turned.{suffix}", exif=exif)
    assert read_form(tmp_path / f"turned.{suffix}") == ImageForm(8, 16, "L")
    found = read_images(tmp_path / f"turned.{suffix}")[0, :, :, 0]
    assert found.shape == (16, 8)
    assert found[:7].min() > 240
    assert found[9:].max() < 15


def test_size_and_mode_are_brought_to_what_is_wanted(tmp_path):
    path = picture(tmp_path / "a.png", np.repeat([[0, 100]], 2, axis=0))
    found = read_images(path, size=(1, 1), mode="RGB")
    assert found.tolist() == [[[[50, 50, 50]]]]


# ------------------------------------------------------------------ damage


def bomb(width, height):
    """A PNG of a few bytes that says it has many pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 60_000, 2**31 - 1])
def test_decompression_bombs_are_refused_by_their_header(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(bomb(side, side))
    with pytest.raises(FileError, match=r"bomb\.png says that it has .* pixels"):
        read_form(tmp_path / "bomb.png")
    assert side * side > MOST_PIXELS


def test_every_truncation_of_an_image_is_one_clear_error(tmp_path, rng):
    whole = picture(tmp_path / "a.png", rng.integers(0, 256, (9, 9, 3))).read_bytes()
    short = tmp_path / "short.png"
    for length in range(0, len(whole) - 24, 7):
        short.write_bytes(whole[:length])
        with pytest.raises(FileError, match=r"short\.png"):
            read_images(short)


def test_flipped_bytes_are_an_error_or_an_image(tmp_path, rng):
    for suffix in ("png", "jpg", "gif", "bmp", "webp"):
        path = picture(tmp_path / f"a.{suffix}", rng.integers(0, 256, (9, 9, 3)))
        whole = path.read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), 3):
                data[place] = rng.integers(256)
            path.write_bytes(data)
            try:
                assert read_images(path, size=(3, 3), mode="L").shape == (1, 3, 3, 1)
            except FileError as error:
                assert f"a.{suffix}" in str(error)  # noqa: PT017


def test_other_files_are_refused_by_name(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(FileError, match=r"a\.png is damaged, or no image of a known format"):
        read_images([tmp_path / "a.png"])
    with pytest.raises(FileError, match="is no file that is there"):
        read_images([tmp_path / "b.png"])
    with pytest.raises(FileError, match="is a folder"):
        read_images([tmp_path])
    with pytest.raises(DataError, match="no image files"):
        read_images([])


@pytest.mark.parametrize("size", [(0, 4), (4,), (4, 4.5), "4x4", (2**16, 2**16)])
def test_sizes_that_are_none_are_refused(tmp_path, size):
    with pytest.raises(SettingError, match="size takes"):
        read_images([tmp_path / "a.png"], size=size)


def test_modes_that_are_none_are_refused(tmp_path):
    with pytest.raises(SettingError, match="mode = 'CMYK' is not one of L, RGB"):
        read_images([tmp_path / "a.png"], mode="CMYK")


def test_different_sizes_name_files_and_the_remedy():
    forms = [ImageForm(4, 4, "L")] * 3 + [ImageForm(5, 4, "L"), ImageForm(4, 4, "RGB")]
    with pytest.raises(DataError) as caught:
        shared_form(["a", "b", "c", "d", "e"], forms)
    for text in ("most of the 5 have 4x4 L", "d (5x4 L), e (4x4 RGB)", "--resize 4x4 --mode RGB"):
        assert text in str(caught.value)
    assert shared_form("abcde", forms, (2, 3), "L") == ImageForm(2, 3, "L")


# ------------------------------------------------------------------ folders


def test_a_folder_gives_images_by_class(folder):
    found = read_folder(folder)
    assert found.classes == ("cat", "dog")
    assert found.x.shape == (8, 1, 3, 4)
    assert found.y.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found.x[:, 0, 0, 0].tolist() == [10, 11, 12, 13, 200, 201, 202, 203]
    assert found.names[0] == "cat/0.png"
    assert found.names[-1] == "dog/deep/3.bmp"
    assert found.parts is None
    assert found.notes == ()
    assert [path.name for path in image_files(folder)][:2] == ["0.png", "1.png"]


def test_reading_is_watched(folder):
    seen = []
    read_folder(folder, watch=lambda read, of: seen.append((read, of)))
    assert seen == [(count, 16) for count in range(1, 17)]


def test_colours_come_channels_first(tmp_path):
    for label in "ab":
        picture(tmp_path / label / "1.png", np.array([[[1, 2, 3], [4, 5, 6]]]))
    assert read_folder(tmp_path).x[0].tolist() == [[[1, 4]], [[2, 5]], [[3, 6]]]


def test_damaged_and_other_files_are_named_counted_and_left_out(folder):
    whole = (folder / "cat" / "0.png").read_bytes()
    (folder / "cat" / "cut.png").write_bytes(whole[:-30])
    (folder / "cat" / "fake.jpg").write_bytes(b"GIF89a nothing")
    (folder / "dog" / "notes.txt").write_text("x")
    (folder / "labels.csv").write_text("x")
    (folder / "dog" / ".hidden").write_text("x")
    found = read_folder(folder)
    assert len(found) == 8
    (note,) = found.notes
    assert note.level == "warning"
    for text in ("4 files that are no whole images", "cat/cut.png", "cat/fake.jpg", "notes.txt"):
        assert text in note.message
    with pytest.raises(FileError, match=r"4 files that are no whole images: labels\.csv"):
        read_folder(folder, strict=True)


def test_a_class_without_an_image_is_named(folder):
    (folder / "bird").mkdir()
    (folder / "bird" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"the class 'bird' has no image.*notes\.txt"):
        read_folder(folder)
    (folder / "bird" / "1.png").write_bytes((folder / "cat" / "0.png").read_bytes()[:50])
    with pytest.raises(DataError, match=r"the class 'bird' has no image.*1\.png"):
        read_folder(folder)


def test_folders_from_which_nothing_can_be_learned(tmp_path, folder):
    with pytest.raises(FileError, match="is not there"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="one class only"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match="holds no folders"):
        read_folder(folder / "cat")


def test_another_size_is_an_error_that_names_the_remedy(folder):
    picture(folder / "dog" / "wide.png", grey(5, 3, 9))
    with pytest.raises(DataError, match=r"dog/wide\.png \(9x3 L\).*--resize 4x3"):
        read_folder(folder)
    found = read_folder(folder, size=(2, 2), mode="RGB")
    assert found.x.shape == (9, 3, 2, 2)
    assert found.x[-1].tolist() == [[[5, 5], [5, 5]]] * 3


def test_a_split_of_the_folders_own_is_kept(tmp_path):
    for part, count in {"train": 4, "val": 2, "test": 3}.items():
        for place in range(count):
            for label, value in {"a": 0, "b": 100}.items():
                shade = value + 10 * len(part) + place
                picture(tmp_path / part / label / f"{place}.png", grey(shade))
    found = read_folder(tmp_path)
    assert found.classes == ("a", "b")
    assert found.parts is not None
    assert np.bincount(found.parts).tolist() == [8, 4, 6]
    assert found.names[0].startswith("test/a/")
    picture(tmp_path / "test" / "a" / "copy.png", grey(50))  # as train/a/0.png
    (note,) = read_folder(tmp_path).notes
    assert "1 of 7 test images are also among the training images" in note.message
    picture(tmp_path / "test" / "c" / "1.png", grey(1))
    with pytest.raises(DataError, match="class 'c' is in the test or validation folder"):
        read_folder(tmp_path)


def test_classes_may_be_called_like_parts(tmp_path):
    for label in ("train", "bus"):
        picture(tmp_path / label / "1.png", grey(1))
    assert read_folder(tmp_path).classes == ("bus", "train")


def test_links_in_circles_end(folder):
    (folder / "cat" / "round").symlink_to(folder / "cat", target_is_directory=True)
    with pytest.raises(DataError, match="folders deep"):
        read_folder(folder)


# ------------------------------------------------------------------ arrays


def test_labels_make_classes():
    x = np.zeros((3, 2, 2), np.uint8)
    found = labelled_images(x, np.array([7.0, 3.0, 7.0]))
    assert found.classes == (3, 7)
    assert found.y.tolist() == [1, 0, 1]
    assert found.x is x
    for labels, message in [
        ([1, 2], "3 images, but 2 labels"),
        ([1.5, 2.0, 1.0], "must be whole numbers or texts, got .*1.5"),
        ([[1, 2]] * 3, "labels have shape"),
        ([1, 1, 1], "one class only"),
        (np.array([1, "a", 2.5], object), "all texts or all whole numbers"),
    ]:
        with pytest.raises((DataError, ShapeError), match=message):
            labelled_images(x, labels)


def test_numpy_archives_are_read_by_the_usual_names(tmp_path):
    x, y = np.arange(24, dtype=np.uint8).reshape(6, 2, 2), np.array([0, 1] * 3)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=y)
    found = read_image_arrays(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.x, x)
    assert is_array_file(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x_train=x[:4], y_train=y[:4], x_test=x[4:], y_test=y[4:])
    found = read_image_arrays(tmp_path / "b.npz")
    assert found.parts.tolist() == [0, 0, 0, 0, 2, 2]
    np.testing.assert_array_equal(read_image_rows(tmp_path / "b.npz"), x[4:])
    np.savez(tmp_path / "c.npz", z=x)
    with pytest.raises(DataError, match=r"no arrays x and y.*it has z"):
        read_image_arrays(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", x=x.reshape(6, 4), y=y)
    with pytest.raises(DataError, match=r"shape \(6, 4\), no images"):
        read_image_arrays(tmp_path / "d.npz")
    np.savez(tmp_path / "e.npz", x=np.array([{}], object), y=y)
    with pytest.raises(FileError, match=r"e\.npz.*object"):
        read_image_arrays(tmp_path / "e.npz")
    (tmp_path / "f.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(FileError, match=r"f\.npz is no NumPy archive"):
        read_image_arrays(tmp_path / "f.npz")


def test_an_npy_file_is_read_in_place(tmp_path):
    x = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.array([0, 1] * 3))
    found = read_image_arrays(tmp_path / "x.npy", tmp_path / "y.npy")
    assert isinstance(found.x, np.memmap)
    with pytest.raises(SettingError, match="--labels"):
        read_image_arrays(tmp_path / "x.npy")
    with pytest.raises(DataError, match="no labels"):
        read_image_arrays(tmp_path / "x.npy", tmp_path / "x.npy")
    np.save(tmp_path / "z.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(FileError, match=r"z\.npy is damaged, or no array of numbers"):
        read_image_rows(tmp_path / "z.npy")


# ------------------------------------------------------------------ images for a model


def test_arrays_reach_a_model_in_any_layout(rng):
    x = rng.integers(0, 256, (2, 4, 5), dtype=np.uint8)
    first = ImageEncoder(5, 4, 1, "channels_first", 255.0)
    for given in (x, x[:, None], x[..., None]):
        found = first.rows(given)
        assert found.shape == (2, 1, 4, 5)
        assert np.shares_memory(found, x)
        np.testing.assert_array_equal(found[:, 0], x)
    colours = rng.integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    last = ImageEncoder(5, 4, 3, "channels_last", 255.0)
    np.testing.assert_array_equal(last.rows(np.moveaxis(colours, 3, 1)), colours)


def test_images_of_another_size_or_range_are_refused_with_the_remedy(tmp_path, rng):
    encoder = ImageEncoder(5, 4, 1, "channels_first", 255.0)
    with pytest.raises(DataError, match=r"images are 6x4 L .*trained on images of 5x4 L; resize"):
        encoder.rows(np.zeros((2, 4, 6), np.uint8))
    assert encoder.rows(np.zeros((2, 4, 6, 3), np.uint8), resize=True).shape == (2, 1, 4, 5)
    with pytest.raises(DataError, match=r"go up to 1 only.*multiply them by 255"):
        encoder.rows(np.ones((2, 4, 5), np.float32))
    with pytest.raises(ShapeError, match=r"holds no images; the model takes \(N, 1, 4, 5\)"):
        encoder.rows(np.zeros(20, np.uint8))
    path = picture(tmp_path / "a.png", rng.integers(0, 256, (4, 6)))
    with pytest.raises(DataError, match=r"a\.png is 6x4 L, but the model was .* of 5x4 L; resize"):
        encoder.rows(path)
    assert encoder.rows([path], resize=True).shape == (1, 1, 4, 5)
    with pytest.raises(DataError, match="which no image file holds"):
        ImageEncoder(5, 4, 2, "channels_first", 255.0).rows([path])


def test_resizing_smooths_and_converts():
    ramp = np.arange(16, dtype=np.uint8).reshape(1, 1, 16, 1)
    np.testing.assert_array_equal(resized(ramp, 16, 1, 1), ramp)
    halves = resized(ramp.astype(np.float32), 2, 1, 1)[0, 0, :, 0]
    assert abs(halves.mean() - 7.5) < 1e-5
    colour = np.array([[[[100, 200, 50, 9]]]], np.uint8)
    expected = round(0.299 * 100 + 0.587 * 200 + 0.114 * 50)
    assert resized(colour, 1, 1, 1).tolist() == [[[[expected]]]]
    with pytest.raises(DataError, match="2 channels cannot be given 3"):
        resized(np.zeros((1, 2, 2, 2), np.uint8), 2, 2, 3)


def test_encoders_round_trip_and_refuse_what_they_do_not_write():
    encoder = ImageEncoder(5, 4, 3, "channels_last", 255.0)
    plain = encoder.to_plain()
    assert ImageEncoder.from_plain(plain) == encoder
    for change in (
        {"width": 0}, {"height": 2**31}, {"channels": True}, {"layout": "spiral"}, {"white": 0.0},
        {"layout": "plain"}, {"extra": 1}, {"width": 4.0},
    ):  # fmt: skip
        with pytest.raises(DescriptionError):
            ImageEncoder.from_plain({**plain, **change})
