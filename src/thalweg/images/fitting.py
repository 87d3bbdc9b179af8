"""``fit_images``: from a folder or an array of images to a trained and tested network."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.data.metrics import Metrics
from thalweg.descriptions import Description, Plain, to_plain
from thalweg.errors import NonFiniteError, SettingError, ShapeError
from thalweg.images.judging import Judgement, judge
from thalweg.images.loading import reading
from thalweg.images.preparing import PreparedImages, prepare_images
from thalweg.images.run import ImageRun
from thalweg.images.settings import ImageSettings
from thalweg.model import Model
from thalweg.nn.containers import Sequential
from thalweg.nn.image_input import ImageInput
from thalweg.nn.layer import Layer, blueprint
from thalweg.nn.losses import Loss
from thalweg.optim.optimizers import Optimizer
from thalweg.optim.schedules import Schedule
from thalweg.training.fit import TrainedRun, fit
from thalweg.training.history import Callback, Display
from thalweg.training.job import Chosen
from thalweg.training.stopping import EarlyStopping, Stopping, as_stopping

_COPIED = 2**26
"""Bytes of images up to which the parts of a split are copied apart."""


def fit_images(
    source: Any,
    model: str | Layer = ImageSettings.model,
    *,
    labels: Any = None,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
    layout: str = "auto",
    strict: bool = False,
    standardise: bool = False,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | str | Schedule | None = None,
    optimizer: str | Optimizer = ImageSettings.optimizer,
    early_stopping: int | bool | EarlyStopping | None = ImageSettings.early_stopping,
    stop: str | Stopping | None = None,
    clip: Any = None,
    loss: str | Loss | None = None,
    penalty: Any = None,
    class_weight: str | Mapping[Any, float] | None = None,
    average: Any = None,
    augment: Any = None,
    accumulate: int = 1,
    statistics: str = ImageSettings.statistics,
    fractions: Sequence[float] | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    progress: bool | Display | None = None,
    callbacks: Sequence[Callback] = (),
    backend: str = "native",
) -> ImageRun:
    """Train a network to tell classes of images apart.

    The images are split (each class keeps its share), training stops when the validation loss no
    longer falls, the test images give the results. Pixels reach the network as they are kept, as
    bytes; the compiled step scales them.

    Args:
        source: a folder ``FOLDER/class/…`` or ``FOLDER/train|test|val/class/…`` of image files; a
            file of arrays (IDX as of MNIST, ``.npz``, ``.npy``); an array of images (N, H, W),
            (N, C, H, W) or (N, H, W, C); or a pair of images and labels.
        model: a named network (``"lenet5"``, …), or one of your own with an output for each class.
        labels: of an array, (N,); or the file of labels, where none is found by its name.
        size: (width, height) to which image files are brought; they must share one otherwise.
        mode: ``L`` (grey) or ``RGB``, to which image files are brought.
        layout: of arrays: ``channels_first``, ``channels_last``, or ``auto`` by the shape.
        strict: refuse files that are no images, instead of leaving them out with a warning.
        standardise: give each channel mean 0 and deviation 1 instead of scaling to 0 … 1.
        epochs: passes over the training images at most; None is 20, and more for few images.
        batch_size: images of a batch; None is 16 to 64 by the number of training images.
        learning_rate: number or schedule; None is a cosine that suits the batches.
        optimizer: name or optimiser.
        early_stopping: patience in epochs, a rule, or None.
        stop: a rule beside it that ends training.
        clip: bound of the gradient's norm, or a clipping.
        loss: None is cross entropy; maximum a posteriori where the network ends in Gaussian units.
        penalty: on the weights, or the factor of an L2 penalty, 0 for none; None is 0.0005 for
            named networks.
        class_weight: ``"balanced"``, or weights by class, 1 for those that are not named.
        average: of the weights (``"ema"``, ``"swa"``), or the decay of an exponential moving one.
        augment: a random change of training batches, or several in a list.
        accumulate: batches whose gradients make one update.
        statistics: what batch normalisation uses afterwards: ``running`` or ``exact``.
        fractions: shares of training, validation and test images; None: the source's own split
            where it has one, else 60, 20 and 20 %.
        seed: of the split, the weights, the shuffling, dropout and augmentation.
        checkpoint: a file kept up to date, to resume from.
        checkpoint_every: epochs between checkpoints.
        resume: go on from the checkpoint where the file exists.
        progress: True or None shows progress when in a terminal, False is silent.
        callbacks: called with each finished :class:`Epoch`; returning True stops.
        backend: ``native`` or ``interpreter``.

    Returns:
        Model, history, notes, and the results on the test images beside the majority class, by
        class, and as a table of confusions.

    Raises:
        SettingError: a setting outside its range, or a network that does not fit the images.
        FileError, DataError: files or images that cannot be learned from.
        NonFiniteError: training met NaN or infinity.

    >>> import numpy as np, thalweg as tw
    >>> x = np.random.default_rng(0).integers(0, 128, (60, 6, 6), dtype=np.uint8)
    >>> y = np.repeat(["dark", "light"], 30)
    >>> x[30:] += 100
    >>> network = tw.Sequential(tw.Flatten(), tw.Linear(2))
    >>> run = tw.fit_images(x, network, labels=y, learning_rate=0.02, epochs=40, progress=False)
    >>> run.model.predict(x[[0, 59]]).tolist(), int(run.confusion.sum())
    (['dark', 'light'], 12)
    """
    settings = ImageSettings(
        model=model, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
        optimizer=optimizer, early_stopping=early_stopping, clip=clip, seed=seed, loss=loss,
        penalty=penalty, class_weight=class_weight, average=average, augment=augment,
        accumulate=accumulate, statistics=statistics, stop=stop, standardise=standardise,
    )  # fmt: skip
    settings.check()
    with reading(progress is not False) as watch:
        prepared = prepare_images(
            source, labels=labels, size=size, mode=mode, layout=layout, strict=strict,
            fractions=fractions, seed=seed, watch=watch,
        )  # fmt: skip
    return fit_prepared_images(
        prepared,
        settings,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        resume=resume,
        progress=progress,
        callbacks=callbacks,
        backend=backend,
    )


def fit_prepared_images(
    prepared: PreparedImages, settings: ImageSettings, **options: Any
) -> ImageRun:
    """Train on images that :func:`prepare_images` gave; see :func:`fit_images`.

    Args:
        prepared: the images.
        settings: how the network is trained.
        options: checkpoint, progress, callbacks and backend, as of :func:`thalweg.fit`.
    """
    network = image_network(prepared, settings)
    train, validation, _ = prepared.split
    try:
        run = fit(
            network,
            _part(prepared, train),
            prepared.y[train],
            classes=range(len(prepared.classes)),
            validation=_held_out(prepared, validation),
            loss=settings.loss_of(network),
            **_chosen(prepared, settings),
            **options,
        )
    except NonFiniteError as error:
        if isinstance(error.run, TrainedRun):
            count = len(prepared.classes)
            nothing = Judgement({}, {}, np.zeros((count, count), np.int64))
            error.run = _image_run(error.run, prepared, settings, nothing)
        raise
    found = judge(_named(run.model, prepared), prepared)
    return _image_run(run, prepared, settings, found)


def _part(prepared: PreparedImages, rows: Any) -> Any:
    """Some images; many are left where they are."""
    x = prepared.x
    return x[rows] if x.nbytes <= _COPIED else Chosen(x, rows)


def _held_out(prepared: PreparedImages, rows: Any) -> Any:
    return (_part(prepared, rows), prepared.y[rows]) if len(rows) else None


def _chosen(prepared: PreparedImages, settings: ImageSettings) -> dict[str, Any]:
    """How the network is trained, as ``fit`` takes it."""
    count = len(prepared.split.train)
    return {
        "class_weight": _class_weights(prepared, settings),
        "optimizer": settings.rule(count),
        "batch_size": settings.batch(count),
        "epochs": settings.most_epochs(count),
        "early_stopping": settings.early_stopping if len(prepared.split.validation) else None,
        "stop": settings.stop,
        "clip": settings.clip,
        "penalty": settings.weight_penalty,
        "average": settings.average,
        "augment": settings.augment,
        "accumulate": settings.accumulate,
        "statistics": settings.statistics,
        "seed": settings.seed,
    }


def _class_weights(prepared: PreparedImages, settings: ImageSettings) -> Any:
    """The weights of classes by the classes' numbers.

    Raises:
        SettingError: a class that the images do not have.
    """
    given = settings.class_weight
    if given is None or isinstance(given, str):
        return given
    places = {str(label): place for place, label in enumerate(prepared.classes)}
    for label in given:
        if str(label) not in places:
            known = ", ".join(map(str, prepared.classes[:20]))
            raise SettingError(f"class_weight names {label!r}; the images have {known}")
    return {places[str(label)]: weight for label, weight in given.items()}


def image_network(prepared: PreparedImages, settings: ImageSettings) -> Layer:
    """The network for images, with the layer in front that takes their bytes.

    Raises:
        SettingError: a layer that does not take its input, or another number of outputs.
    """
    classes = len(prepared.classes)
    network = settings.network(classes)
    layers = network.layers if isinstance(network, Sequential) else (network,)
    if not layers or not isinstance(layers[0], ImageInput):
        network = Sequential(prepared.front(standardise=settings.standardise), *layers)
    try:
        found = blueprint(network, prepared.encoder.input_shape).output_shape
    except ShapeError as error:
        raise SettingError(
            f"the network does not fit images of {prepared.encoder}: {error}"
        ) from error
    if found != (classes,):
        raise SettingError(
            f"the network has outputs of shape {found}, but there are {classes} classes: end it "
            f"with linear({classes})"
        )
    return network


def _named(model: Model, prepared: PreparedImages) -> Model:
    """The model with the images' form and the classes' names."""
    return dataclasses.replace(model, classes=prepared.classes, images=prepared.encoder)


def _image_run(
    run: TrainedRun, prepared: PreparedImages, settings: ImageSettings, found: Judgement
) -> ImageRun:
    model = _named(run.model, prepared)
    record = {**model.record, **_record(prepared, settings, found)}
    return ImageRun(
        dataclasses.replace(model, record=record),
        run.history,
        run.timing,
        prepared,
        found.test,
        found.baselines,
        found.confusion,
        run.stop_reason,
        run.best_epoch,
    )


def _record(
    prepared: PreparedImages, settings: ImageSettings, found: Judgement
) -> dict[str, Plain]:
    train, validation, test = (len(rows) for rows in prepared.split)
    return {
        "source": prepared.images.origin,
        "model": settings.model if isinstance(settings.model, str) else None,
        "task": "classification",
        "split": {"train": train, "validation": validation, "test": test},
        "early_stopping": _plain(as_stopping(settings.early_stopping)),
        "stop": _plain(settings.stop),
        "test": _finite(found.test),
        "baselines": {name: _finite(metrics) for name, metrics in found.baselines.items()},
    }


def _plain(rule: Any) -> Plain:
    return to_plain(rule) if isinstance(rule, Description) else None


def _finite(metrics: Metrics) -> dict[str, Plain]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
