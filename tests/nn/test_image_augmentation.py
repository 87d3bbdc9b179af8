"""Image augmentation: closed forms, SciPy and PyTorch as judges, statistics, both backends, fit."""

import math

import numpy as np
import pytest
from scipy import ndimage, stats

import thalweg as tw
from thalweg.compiler.interpreter import interpret
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.trace import trace
from thalweg.errors import DataError, DTypeError, SettingError, ShapeError
from thalweg.nn.augmentation import as_augmentation
from thalweg.nn.augmenting.placing import split_readers
from thalweg.nn.augmenting.sampling import Maps, inverse_maps, places, resampled
from thalweg.ops.random import key_from_seed
from thalweg.training.history import Display

KEY = tw.Tensor(key_from_seed(7))
IMAGES = np.random.default_rng(0).random((5, 2, 9, 7))
MANY = 1000

EVERY = [
    tw.RandomAffine(20, shear=10, fill=0.25),
    tw.RandomAffine(20, interpolation="nearest"),
    tw.RandomRotation(40),
    tw.RandomScale(0.5, 2.0),
    tw.RandomShift(0.3),
    tw.RandomShift(2, unit="pixels", interpolation="nearest"),
    tw.RandomHorizontalFlip(),
    tw.RandomVerticalFlip(),
    tw.RandomCrop(2),
    tw.RandomNoise(0.1),
    tw.RandomErasing(0.7),
    tw.RandomErasing(0.7, filling="noise"),
    tw.RandomBrightness(0.3),
    tw.RandomBrightness(0.3, form="multiplicative"),
    tw.RandomContrast(0.3),
    tw.Augmentations(tw.RandomRotation(), tw.RandomShift(), tw.RandomNoise()),
]
each = pytest.mark.parametrize("augmentation", EVERY, ids=repr)


def drawn(augmentation, x, key=KEY):
    return augmentation(tw.Tensor(x), key).x.numpy()


def moved(x, turn=0.0, scale=1.0, shear=0.0, down=0.0, right=0.0, fill=0.0, how="bilinear"):
    """All images by one map."""
    numbers = (np.full(len(x), item, np.float64) for item in (turn, scale, shear, down, right))
    maps = inverse_maps(*map(tw.Tensor, numbers))
    rows, columns = places(maps, *x.shape[2:], x.dtype)
    return resampled(tw.Tensor(x), rows, columns, fill, how).numpy()


def rolled(x, down, right, fill=0.0):
    """Shifted by whole pixels, the fill behind."""
    wide = np.pad(x, ((0, 0), (0, 0), (9, 9), (9, 9)), constant_values=fill)
    height, width = x.shape[2:]
    return wide[:, :, 9 - down : 9 - down + height, 9 - right : 9 - right + width]


# ------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("how", ["bilinear", "nearest"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_turn_and_scale_one_change_nothing(how, dtype):
    x = IMAGES.astype(dtype)
    np.testing.assert_array_equal(moved(x, fill=3.0, how=how), x)
    same = tw.RandomAffine(0, 0, 1, 1, interpolation=how, fill=3.0)
    np.testing.assert_array_equal(drawn(same, x), x)
    for one in (tw.RandomRotation(0), tw.RandomScale(1, 1), tw.RandomShift(0), tw.RandomCrop(0)):
        np.testing.assert_array_equal(drawn(one, x), x)


@pytest.mark.parametrize("quarters", [-1, 1, 2, 3])
@pytest.mark.parametrize("side", [8, 9])
def test_quarter_turns_are_those_of_numpy(quarters, side):
    x = np.random.default_rng(side).random((3, 2, side, side))
    wanted = np.rot90(x, quarters, axes=(2, 3))
    np.testing.assert_allclose(moved(x, quarters * math.pi / 2), wanted, atol=1e-13)
    np.testing.assert_allclose(
        moved(x.astype("float32"), quarters * math.pi / 2), wanted, atol=2e-6
    )
    np.testing.assert_array_equal(moved(x, quarters * math.pi / 2, how="nearest"), wanted)


@pytest.mark.parametrize("how", ["bilinear", "nearest"])
@pytest.mark.parametrize(("down", "right"), [(0, 1), (2, -3), (-4, 0), (9, 7), (-30, 1)])
def test_shifts_by_whole_pixels_move_pixels(down, right, how):
    for fill in (0.0, 0.5):
        wanted = np.full_like(IMAGES, fill) if down == -30 else rolled(IMAGES, down, right, fill)
        got = moved(IMAGES, down=down, right=right, fill=fill, how=how)
        np.testing.assert_array_equal(got, wanted)


def test_half_a_pixel_is_the_mean_of_two():
    x = np.array([[[[2.0, 4.0, 8.0]]]])
    np.testing.assert_array_equal(moved(x, right=0.5), [[[[1.0, 3.0, 6.0]]]])
    np.testing.assert_array_equal(moved(x, right=-0.5, fill=1.0), [[[[3.0, 6.0, 4.5]]]])
    np.testing.assert_array_equal(moved(x, down=0.25), x * 0.75)


def test_an_image_of_twice_the_size_repeats_the_middle():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    wanted = ndimage.zoom(x[0, 0], 1, order=1) * 0.5 + 3.75  # linear in place about the centre
    np.testing.assert_allclose(moved(x, scale=2.0)[0, 0], wanted)


def test_flips_are_slices_read_backwards():
    np.testing.assert_array_equal(drawn(tw.RandomHorizontalFlip(1), IMAGES), IMAGES[..., ::-1])
    np.testing.assert_array_equal(drawn(tw.RandomVerticalFlip(1), IMAGES), IMAGES[:, :, ::-1])
    for one in (tw.RandomHorizontalFlip(0), tw.RandomVerticalFlip(0), tw.RandomErasing(0)):
        np.testing.assert_array_equal(drawn(one, IMAGES), IMAGES)


def test_crops_are_shifts_by_whole_pixels():
    got = drawn(tw.RandomCrop(2, fill=9.0), np.repeat(IMAGES[:1], 500, axis=0))
    shifts = {
        (down, right): rolled(IMAGES[:1], down, right, 9.0)[0]
        for down in range(-2, 3)
        for right in range(-2, 3)
    }
    found = [next(k for k, v in shifts.items() if np.array_equal(v, image)) for image in got]
    counts = [found.count(shift) for shift in shifts]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_brightness_and_contrast_change_one_number_of_an_image():
    change = (drawn(tw.RandomBrightness(0.3), IMAGES) - IMAGES).reshape(5, -1)
    np.testing.assert_allclose(change, np.broadcast_to(change[:, :1], change.shape), atol=1e-15)
    assert len(set(change[:, 0].round(9))) == 5
    factor = drawn(tw.RandomBrightness(0.3, form="multiplicative"), IMAGES) / IMAGES
    np.testing.assert_allclose(factor.reshape(5, -1) - 1, change, atol=1e-12)
    mean = IMAGES.mean((1, 2, 3), keepdims=True)
    slope = (drawn(tw.RandomContrast(0.3), IMAGES) - mean) / (IMAGES - mean)
    np.testing.assert_allclose(slope.reshape(5, -1) - 1, change, atol=1e-10)
    assert abs(change).max() <= 0.3


# ------------------------------------------------------------------ judges


def some_maps(count, seed=1):
    rng = np.random.default_rng(seed)
    turn, shear = rng.uniform(-3, 3, count), rng.uniform(-0.5, 0.5, count)
    scale, shift = rng.uniform(0.4, 2.0, count), rng.uniform(-4, 4, (2, count))
    return inverse_maps(*map(tw.Tensor, (turn, scale, shear, *shift)))


def matrix_of(maps, place):
    numbers = [float(part.numpy()[place]) for part in maps]
    return np.array(numbers[:4]).reshape(2, 2), np.array(numbers[4:])


@pytest.mark.parametrize("shape", [(9, 7), (6, 12), (1, 5), (5, 1), (1, 1)])
@pytest.mark.parametrize("fill", [0.0, -0.5])
def test_bilinear_resampling_is_that_of_scipy(shape, fill):
    x = np.random.default_rng(2).random((20, 2, *shape))
    maps = some_maps(len(x))
    got = resampled(tw.Tensor(x), *places(maps, *shape, x.dtype), fill).numpy()
    centre = (np.array(shape) - 1) / 2
    for place, image in enumerate(x):
        matrix, offset = matrix_of(maps, place)
        for channel in range(2):
            wanted = ndimage.affine_transform(
                image[channel], matrix, centre + offset - matrix @ centre,
                order=1, mode="grid-constant", cval=fill,
            )  # fmt: skip
            np.testing.assert_allclose(got[place, channel], wanted, atol=1e-12)


def test_nearest_resampling_is_a_loop_over_pixels():
    x, maps = IMAGES, some_maps(len(IMAGES))
    rows, columns = places(maps, 9, 7, x.dtype)
    got = resampled(tw.Tensor(x), rows, columns, 0.5, "nearest").numpy()
    for n, c, i, j in np.ndindex(x.shape):
        row, column = (math.floor(place.numpy()[n, i, j] + 0.5) for place in (rows, columns))
        inside = 0 <= row < 9 and 0 <= column < 7
        assert got[n, c, i, j] == (x[n, c, row, column] if inside else 0.5)


def test_bilinear_resampling_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    maps = some_maps(len(IMAGES))
    got = resampled(tw.Tensor(IMAGES), *places(maps, 9, 7, IMAGES.dtype), 0.0).numpy()
    yy, yx, xy, xx, y, x = (part.numpy() for part in maps)
    high, wide = 9 / 2, 7 / 2  # PyTorch's places go from -1 to 1, columns first
    across = np.stack([xx, xy * high / wide, x / wide], axis=1)
    down = np.stack([yx * wide / high, yy, y / high], axis=1)
    theta = np.stack([across, down], axis=1)
    grid = torch.nn.functional.affine_grid(torch.tensor(theta), IMAGES.shape, align_corners=False)
    wanted = torch.nn.functional.grid_sample(
        torch.tensor(IMAGES), grid, padding_mode="zeros", align_corners=False
    )
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-12)


def test_shapes_of_a_map_compose_as_they_are_written():
    turn, scale, shear, shift = 0.4, 1.3, 0.2, np.array([1.5, -2.0])
    numbers = (np.array([item]) for item in (turn, scale, shear, *shift))
    matrix, offset = matrix_of(inverse_maps(*map(tw.Tensor, numbers)), 0)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    lean = np.array([[1.0, 0.0], [math.tan(shear), 1.0]])
    np.testing.assert_allclose(np.linalg.inv(matrix), rotation @ lean * scale, atol=1e-12)
    np.testing.assert_allclose(rotation @ lean * scale @ offset, -shift, atol=1e-12)


# ------------------------------------------------------------------ what is drawn


def uniform_between(values, low, high):
    assert low <= values.min()
    assert values.max() <= high
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_settings_bound_uniform_numbers():
    shape = (MANY, 1, 20, 10)
    maps = tw.RandomRotation(30).maps(KEY, shape)
    uniform_between(np.degrees(np.arctan2(maps.yx.numpy(), maps.yy.numpy())), -30, 30)
    uniform_between(1 / tw.RandomScale(0.5, 2).maps(KEY, shape).yy.numpy(), 0.5, 2)
    shift = tw.RandomShift(0.25).maps(KEY, shape)
    uniform_between(shift.y.numpy(), -5, 5)
    uniform_between(shift.x.numpy(), -2.5, 2.5)
    uniform_between(tw.RandomShift(3, "pixels").maps(KEY, shape).x.numpy(), -3, 3)
    maps = Maps(*(item.numpy() for item in tw.RandomAffine(10, 0.1, 0.5, 2, 40).maps(KEY, shape)))
    inverse = np.linalg.inv(np.stack(maps[:4], axis=1).reshape(-1, 2, 2))
    turn = np.arctan2(-inverse[:, 0, 1], inverse[:, 1, 1])
    scale = np.hypot(inverse[:, 0, 1], inverse[:, 1, 1])
    uniform_between(np.degrees(turn), -10, 10)
    uniform_between(scale, 0.5, 2)
    lean = (np.cos(turn) * inverse[:, 1, 0] - np.sin(turn) * inverse[:, 0, 0]) / scale
    uniform_between(np.degrees(np.arctan(lean)), -40, 40)
    offset = -(inverse @ np.stack(maps[4:], axis=1)[:, :, None])[:, :, 0]
    uniform_between(offset[:, 0], -2, 2)
    uniform_between(offset[:, 1], -1, 1)


def test_probabilities_are_kept():
    x = np.broadcast_to(np.arange(6.0).reshape(1, 1, 2, 3), (MANY, 1, 2, 3))
    for one in (tw.RandomHorizontalFlip(0.3), tw.RandomVerticalFlip(0.3), tw.RandomErasing(0.3)):
        got = drawn(one, x + 1)
        changed = int((got != x + 1).any((1, 2, 3)).sum())
        assert stats.binomtest(changed, MANY, 0.3).pvalue > 1e-3


def erased(one, height, width):
    """Heights and widths of the rectangles, after checking that they are rectangles."""
    got = drawn(one, np.ones((MANY, 1, height, width)))[:, 0] == 0
    rows, columns = got.any(2), got.any(1)
    np.testing.assert_array_equal(got, rows[:, :, None] & columns[:, None, :])
    for lines in (rows, columns):
        assert (np.abs(np.diff(lines.astype(int), axis=1, prepend=0, append=0)).sum(1) == 2).all()
    return rows.sum(1), columns.sum(1), rows.argmax(1)


def test_rectangles_have_their_area_and_shape():
    tall, wide, top = erased(tw.RandomErasing(1, 0.1, 0.3, 0.5, 2.0), 64, 64)
    share = tall * wide / 64**2 + np.random.default_rng(3).normal(0, 2e-3, MANY)
    assert stats.kstest(share, stats.uniform(0.1, 0.2).cdf).pvalue > 1e-3
    slope = np.log(tall / wide)
    assert abs(slope).max() < math.log(2.0) + 0.06
    assert abs(slope.mean()) < 0.03
    assert slope.std() == pytest.approx(2 * math.log(2.0) / math.sqrt(12), rel=0.03)
    assert np.all(top + tall <= 64)
    place = (top + 0.5) / (64 - tall + 1)
    assert stats.kstest(place, "uniform").pvalue > 1e-3


def test_rectangles_fit_in_narrow_images():
    tall, wide, _ = erased(tw.RandomErasing(1, 0.4, 0.4), 40, 4)
    assert (tall <= 40).all()
    assert (wide <= 4).all()
    assert (tall * wide / 160).mean() == pytest.approx(0.4, abs=0.03)
    assert erased(tw.RandomErasing(1, 1, 1), 5, 3)[0].min() == 5


def test_noise_is_gaussian_and_erased_pixels_can_be_noise():
    noise = drawn(tw.RandomNoise(0.2), np.zeros((20, 1, 10, 10)))
    assert stats.kstest(noise.ravel() / 0.2, "norm").pvalue > 1e-3
    filled = drawn(tw.RandomErasing(1, 1, 1, filling="noise"), np.full((20, 1, 10, 10), 5.0))
    assert stats.kstest(filled.ravel(), "uniform").pvalue > 1e-3


@each
def test_images_are_drawn_for_alone_and_keys_decide(augmentation):
    x = np.repeat(IMAGES[:1], 60, axis=0)
    first = drawn(augmentation, x)
    np.testing.assert_array_equal(first, drawn(augmentation, x))
    assert len({image.tobytes() for image in first}) >= 2
    other = x.copy()
    other[1:] = 0.5
    np.testing.assert_array_equal(first[0], drawn(augmentation, other)[0])
    again = drawn(augmentation, x, tw.Tensor(key_from_seed(8)))
    assert not np.array_equal(first, again)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_backends_give_equal_numbers(augmentation, dtype):
    x = IMAGES.astype(dtype)
    graph = trace(lambda x, key: augmentation(x, key).x, x, KEY.numpy())
    expected = interpret(graph, x, KEY.numpy())[0]
    assert expected.dtype == x.dtype
    assert expected.shape == x.shape
    native = NativeProgram(optimise(graph).graph)(x, KEY.numpy())[0]
    np.testing.assert_allclose(native, expected, rtol=0, atol=1e-6 if dtype == "float32" else 1e-13)
    np.testing.assert_array_equal(expected, drawn(augmentation, x))


# ------------------------------------------------------------------ descriptions


def test_augmentations_act_in_order_with_keys_of_their_own():
    two = tw.Augmentations(tw.RandomNoise(0.1), tw.RandomNoise(0.1))
    first, second = (
        drawn(tw.RandomNoise(0.1), np.zeros((2, 3)), tw.fold_in(KEY, place)) for place in (0, 1)
    )
    np.testing.assert_allclose(drawn(two, np.zeros((2, 3))), first + second)
    assert not np.allclose(first, second)
    dark = [tw.RandomBrightness(0.0), tw.RandomErasing(1, 1, 1), tw.RandomNoise(0.0)]
    assert not drawn(as_augmentation(dark), IMAGES).any()


def test_losses_of_two_mixtures_are_those_of_mixed_targets():
    twice = tw.Augmentations(tw.Mixup(1.0), tw.Mixup(1.0))
    x = np.eye(4)
    changed = twice(tw.Tensor(x), KEY)
    mixed = changed.x.numpy()  # row i holds the shares of all rows in row i
    targets = np.array([3.0, -1.0, 0.5, 2.0])
    factor = np.array([1.0, 2.0, -3.0, 0.7])

    def score(y, weights):
        return (y * factor).sum()

    found = float(changed.loss(score, tw.Tensor(targets), None))
    assert found == pytest.approx(float(mixed @ targets @ factor))
    assert twice.changes_targets
    assert not tw.Augmentations(tw.RandomNoise()).changes_targets


def test_text_and_lists_name_several():
    text = "augmentations(random_rotation(10), random_shift(0.1), mixup(0.2))"
    wanted = tw.Augmentations(tw.RandomRotation(10), tw.RandomShift(0.1), tw.Mixup(0.2))
    assert as_augmentation(text) == wanted
    assert as_augmentation(list(wanted.steps)) == wanted


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tw.RandomRotation(190), r"RandomRotation.degrees = 190 is outside \[0, 180\]"),
        (lambda: tw.RandomScale(2, 1), "low = 2 must be ≤ high, which is 1"),
        (lambda: tw.RandomErasing(area_low=0.5, area_high=0.1), "area_low = 0.5 must be ≤"),
        (lambda: tw.RandomShift(unit="metres"), "fraction, pixels"),
        (lambda: tw.Augmentations(tw.RandomNoise), r"write RandomNoise\(\) with parentheses"),
        (lambda: as_augmentation(tw.RandomNoise), r"write RandomNoise\(\) with parentheses"),
        (lambda: as_augmentation("random_rotatoin"), "did you mean 'random_rotation'"),
        (lambda: as_augmentation([3]), "augmentation 0 of Augmentations is 3"),
        (lambda: tw.Augment(tw.Mixup()), "changes targets"),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises(SettingError, match=message):
        make()


def test_what_is_no_image_is_refused():
    with pytest.raises(ShapeError, match=r"RandomRotation takes images \(N, C, H, W\), got .*5,9"):
        drawn(tw.RandomRotation(), IMAGES[:, 0])
    with pytest.raises(DTypeError, match="floating-point"):
        drawn(tw.RandomCrop(), np.zeros((2, 1, 4, 4), np.uint8))


# ------------------------------------------------------------------ in networks


def pictures(count=48, seed=4):
    """Bytes with a bright bar, upright or lying: two classes."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 40, (count, 8, 8)).astype(np.uint8)
    y = rng.integers(0, 2, count)
    for image, lying in zip(x, y, strict=True):
        place = rng.integers(2, 6)
        (image[place] if lying else image[:, place])[:] = 220
    return x, y


X, Y = pictures()
WHOLE = tw.Augmentations(
    tw.RandomAffine(10), tw.RandomErasing(0.3), tw.RandomNoise(0.02), tw.Mixup(0.2)
)
OPTIONS = {"epochs": 3, "batch_size": 20, "seed": 5, "progress": False, "augment": WHOLE}
backends = pytest.mark.parametrize("backend", ["interpreter", "native"])


def network():
    return tw.Sequential(tw.ImageInput(), tw.Flatten(), tw.Linear(8), tw.Tanh(), tw.Linear(2))


def test_backends_train_alike_and_models_hold_no_augmentation():
    runs = [tw.fit(network(), X, Y, backend=b, **OPTIONS) for b in ("interpreter", "native")]
    for path, value in runs[0].model.parameters.items():
        np.testing.assert_allclose(runs[1].model.parameters[path], value, rtol=1e-4, atol=1e-5)
    plain = tw.fit(network(), X, Y, **{**OPTIONS, "augment": None})
    assert list(plain.model.parameters) == list(runs[0].model.parameters)
    assert abs(plain.model.parameters["2.weight"] - value_of(runs[0])).max() > 1e-4
    assert runs[0].model.record["augment"]["type"] == "augmentations"
    assert runs[0].model.network == network()


def value_of(run):
    return run.model.parameters["2.weight"]


@backends
def test_augmentation_acts_behind_the_layers_that_read_images(backend):
    black = tw.RandomErasing(1, 1, 1)
    options = {"epochs": 1, "batch_size": 48, "progress": False, "backend": backend}
    cases = [
        (network(), X),
        (tw.Sequential(tw.Reshape((1, 8, 8)), tw.Flatten(), tw.Linear(2)), X.reshape(48, 64) / 255),
        (tw.Sequential(tw.Flatten(), tw.Linear(2)), X[:, None] / 255.0),
        (lambda x, scope: scope.apply("out", tw.Linear(2), x.reshape(-1, 64)), X[:, None] / 255.0),
    ]
    for net, x in cases[:1] if backend == "native" else cases:
        run = tw.fit(net, x, Y, augment=black, **options)
        assert run.history["train_loss"][0] == pytest.approx(math.log(2), rel=1e-6)
        plain = tw.fit(net, x, Y, **options)
        assert abs(plain.history["train_loss"][0] - math.log(2)) > 1e-4
    with pytest.raises(ShapeError, match=r"begin it with ImageInput\(\)"):
        tw.fit(tw.Linear(2), X.reshape(48, 64) / 255, Y, augment=black, **options)


@backends
def test_as_a_layer_it_acts_in_training_alone(backend, tmp_path):
    net = tw.Sequential(
        tw.ImageInput(), tw.Augment(tw.RandomErasing(1, 1, 1)), tw.Flatten(), tw.Linear(2)
    )
    options = {"epochs": 1, "batch_size": 48, "progress": False, "backend": backend}
    run = tw.fit(net, X, Y, **options)
    assert run.history["train_loss"][0] == pytest.approx(math.log(2), rel=1e-6)
    weight, bias = (run.model.parameters[f"3.{name}"] for name in ("weight", "bias"))
    wanted = X.reshape(48, 64) / 255 @ weight + bias
    np.testing.assert_allclose(run.model.outputs(X), wanted, rtol=1e-5, atol=1e-6)
    run.model.save(tmp_path / "model.safetensors")
    assert tw.load(tmp_path / "model.safetensors").network == net


def test_a_layer_draws_as_the_scope_says():
    layer = tw.Augment(tw.RandomNoise(0.5))
    x = np.zeros((2, 3, 4, 4), np.float32)
    used = tw.evaluate(layer, {}, x).output.numpy()
    np.testing.assert_array_equal(used, x)
    trained = tw.evaluate(layer, {}, x, training=True, key=KEY).output.numpy()
    np.testing.assert_array_equal(trained, drawn(tw.RandomNoise(0.5), x, tw.fold_in(KEY, 1)))


def test_gradients_pass_through_a_resampling():
    def total(x):
        return (drawing(x) * IMAGES).sum()

    def drawing(x):
        return tw.RandomAffine(30, shear=10)(x, KEY).x

    tw.check_gradients(total, IMAGES, rtol=1e-6, atol=1e-8)


def test_front_layers_are_split_off_under_equal_paths():
    inner = tw.Sequential(tw.ImageInput(), tw.Flatten())
    front, rest = split_readers(tw.Sequential(inner, tw.Linear(2)))
    assert front == tw.Sequential(tw.Sequential(tw.ImageInput()))
    assert rest == tw.Sequential(tw.Sequential(tw.Identity(), tw.Flatten()), tw.Linear(2))
    front, rest = split_readers(tw.ImageInput())
    assert (front, rest) == (tw.ImageInput(), tw.Identity())
    assert split_readers(tw.Linear(2)) == (tw.Identity(), tw.Linear(2))
    deep = tw.Sequential(tw.Sequential(tw.Linear(3), tw.Reshape((3,))), tw.Linear(2))
    assert split_readers(deep) == (tw.Identity(), deep)
    both = tw.Sequential(tw.Sequential(tw.ImageInput()), tw.Reshape((1, 4, 16)), tw.Linear(2))
    front, rest = split_readers(both)
    parameters = {"2.weight": np.ones((16, 2), "float32"), "2.bias": np.zeros(2, "float32")}
    x = X[:3].astype("float32")
    read = tw.apply_network(front, {}, x)
    assert read.shape == (3, 1, 4, 16)
    np.testing.assert_array_equal(
        tw.apply_network(rest, parameters, read).numpy(),
        tw.apply_network(both, parameters, x).numpy(),
    )


def test_standardised_images_are_augmented_behind_their_states():
    net = tw.Sequential(tw.ImageInput(standardise=True), tw.Flatten(), tw.Linear(2))
    run = tw.fit(net, X, Y, **{**OPTIONS, "augment": tw.RandomErasing(1, 1, 1), "epochs": 1,
                               "batch_size": 48})  # fmt: skip
    assert run.history["train_loss"][0] == pytest.approx(math.log(2), rel=1e-6)


class Cut(Exception):
    """Stands for a process that dies."""


class CutAfter(Display):
    """Raises after a number of updates."""

    def __init__(self, updates):
        self.updates = updates

    def update(self, progress):
        if progress.step >= self.updates:
            raise Cut


@backends
def test_a_run_resumes_bit_for_bit(backend, tmp_path):
    options = {**OPTIONS, "backend": backend, "checkpoint_every_updates": 1}
    whole = tw.fit(network(), X, Y, **options)
    for updates in (1, 4, 6):
        place = tmp_path / f"{updates}.checkpoint"
        with pytest.raises(Cut):
            tw.fit(network(), X, Y, checkpoint=place,
                   **{**options, "progress": CutAfter(updates)})  # fmt: skip
        resumed = tw.fit(network(), X, Y, checkpoint=place, resume=True, **options)
        for path, value in whole.model.parameters.items():
            assert resumed.model.parameters[path].tobytes() == value.tobytes()


# ------------------------------------------------------------------ contact sheets


def test_a_sheet_shows_images_and_draws():
    sheet = tw.contact_sheet(X, tw.RandomErasing(1, 1, 1), rows=3, columns=4, zoom=2)
    assert sheet.shape == (3 * 18 + 2, 4 * 18 + 4)
    assert sheet.dtype == np.uint8
    for row in range(3):
        tile = sheet[2 + row * 18 :][:16, 2:18]
        np.testing.assert_array_equal(tile, X[row].repeat(2, 0).repeat(2, 1))
        np.testing.assert_array_equal(sheet[2 + row * 18 :][:16, 22:38], 0)
    assert (sheet[:2] == 255).all()
    assert (sheet[:, 18:22] == 255).all()


@pytest.mark.parametrize("shape", [(4, 3, 6, 5), (4, 6, 5, 3)])
def test_a_sheet_has_the_colours_of_images(shape):
    x = np.random.default_rng(0).random(shape)
    sheet = tw.contact_sheet(x, "random_horizontal_flip(1)", columns=2, zoom=1)
    assert sheet.shape == (4 * 8 + 2, 2 * 7 + 4, 3)
    first = x[0] if shape[-1] == 3 else np.moveaxis(x[0], 0, -1)
    np.testing.assert_array_equal(sheet[2:8, 2:7], np.rint(first * 255))
    np.testing.assert_array_equal(sheet[2:8, 11:16], np.rint(first[:, ::-1] * 255))


def test_sheets_repeat_and_seeds_differ():
    one, same, other = (tw.contact_sheet(X, "random_affine", seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    sixteen = tw.contact_sheet(X.astype(float) / 255 * 16, [tw.RandomNoise(0.0)], white=16, zoom=1)
    np.testing.assert_array_equal(sixteen[2:10, 2:10], X[0])


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (X, {"columns": 1}, SettingError, "columns = 1 is below 2"),
        (X, {"rows": 0}, SettingError, "rows = 0 is below 1"),
        (X[0], {}, ShapeError, "got shape"),
        (X[:0], {}, ShapeError, "got shape"),
        (np.zeros((2, 5, 8, 8)), {}, ShapeError, "1, 3 or 4 channels, got 5"),
        (X / np.nan, {}, DataError, "NaN"),
        (np.array([["a"]])[None], {}, DataError, "numbers"),
    ],
)
def test_what_no_sheet_can_show_is_refused(given, options, error, message):
    with pytest.raises(error, match=message):
        tw.contact_sheet(given, "random_rotation", **options)
