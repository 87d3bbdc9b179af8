"""Model files: a container whose document describes the network and all that goes with it.

Arrays are named ``parameters/<path>`` and ``states/<path>``. The document holds only data of known
kinds: a network by the registered names of its layers, the output's meaning, the table encoding,
the training record. Loading builds descriptions from closed registries and runs nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from thalweg.data.encoding import TableEncoder
from thalweg.data.image_encoder import ImageEncoder
from thalweg.data.plain import plain_flag, plain_list, plain_object, plain_text
from thalweg.data.scaled_target import TargetScale
from thalweg.data.targets import ClassTarget, NumberTarget, target_from_plain
from thalweg.descriptions import Plain, from_plain, to_plain
from thalweg.errors import DescriptionError, FileError, SettingError, ThalwegError, UnknownNameError
from thalweg.graph import DTYPES, Array, Shape, Tensor
from thalweg.model.model import Label, Model
from thalweg.nn.layer import Layer, Network, blueprint
from thalweg.nn.losses import CustomClassLoss, CustomLoss, Loss
from thalweg.storage.container import check_arrays, read_container, write_container

FORMAT = "thalweg-model"
VERSION = 1
_KEYS = (
    "network", "input_shape", "dtype", "loss", "classes", "single", "encoder", "target", "record",
)  # fmt: skip


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model to one file, atomically: a crash leaves the former file or the new one.

    Args:
        model: what to save.
        path: usually ends in ``.safetensors``; a former file is replaced.

    Raises:
        FileError: the file cannot be written.
        DescriptionError: the network or loss has a part that files cannot name.
    """
    document: dict[str, Plain] = {
        "network": network_to_plain(model.network),
        "input_shape": list(model.input_shape),
        "dtype": _dtype_of(model.parameters).name,
        "loss": None if isinstance(model.loss, CustomLoss) else to_plain(model.loss),
        "classes": None if model.classes is None else list(model.classes),
        "single": model.single,
        "encoder": model.encoder.to_plain() if model.encoder else None,
        "target": model.target.to_plain() if model.target else None,
        "record": dict(model.record),
    }
    if model.images is not None:
        document["images"] = model.images.to_plain()
    arrays = prefixed(parameters=model.parameters, states=model.states)
    write_container(path, arrays, document, format=FORMAT, version=VERSION)


def load_model(path: str | os.PathLike[str], network: Network | None = None) -> Model:
    """Read a model file; everything in it is checked before it is used.

    Args:
        path: a file that :func:`save_model` wrote.
        network: the function, where the network was given as a function.

    Raises:
        FileError: the file is damaged, of another kind or version, or its arrays do not fit its
            network.

    >>> import tempfile, thalweg as tw
    >>> model = tw.fit(tw.Sequential(tw.Linear(1)), [[0.0], [1.0]], [0.0, 2.0], epochs=1).model
    >>> path = tempfile.mkdtemp() + "/line.safetensors"
    >>> model.save(path)
    >>> tw.load(path).input_shape
    (1,)
    """
    held = read_container(path, format=FORMAT)
    if held.version != VERSION:
        raise FileError(
            f"{path}: the model file has version {held.version}, this thalweg reads {VERSION}; "
            "a newer thalweg may read it"
        )
    _check_function(held.document.get("network"), network, path)
    try:
        return _model(held.document, held.arrays, network, path)
    except FileError:
        raise
    except UnknownNameError as error:
        raise FileError(
            f"{path}: {error}; one of your own is known once it is registered: load the file in "
            "Python, where tw.register(...) has run; the command line knows thalweg's own alone"
        ) from error
    except (ThalwegError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise FileError(f"{path}: the model file is damaged: {error}") from error


def _check_function(plain: Plain, function: Network | None, path: str | os.PathLike[str]) -> None:
    """Ask for a network function that is needed, and refuse one that is not."""
    described = plain if isinstance(plain, dict) else {}
    is_function = described.get("type") == "function"
    if is_function and function is None:
        raise FileError(
            f"{path}: the network was the Python function {described.get('name')!r:.80}, which a "
            "file cannot hold; load it in Python and give it there: load(path, network=function); "
            "the command line cannot"
        )
    if not is_function and function is not None:
        raise SettingError(f"{path} describes its own network; leave network= out")


def _model(
    document: Mapping[str, Plain],
    arrays: Mapping[str, Array],
    function: Network | None,
    path: str | os.PathLike[str],
) -> Model:
    keys = (*_KEYS, "images") if "images" in document else _KEYS
    plain = plain_object(dict(document), keys, "model")
    network = network_from_plain(plain["network"], function)
    shape = _shape(plain["input_shape"])
    dtype = DTYPES[plain_text(plain["dtype"], "dtype", ("float32", "float64"))]
    plan = blueprint(network, shape, dtype)
    declared = {f"parameters/{p}": (dtype, v.shape) for p, v in plan.parameters.items()}
    declared |= {f"states/{p}": (dtype, v.shape) for p, v in plan.states.items()}
    check_arrays(arrays, declared, path=path)
    model = Model(
        network,
        {name: arrays[f"parameters/{name}"] for name in plan.parameters},
        {name: arrays[f"states/{name}"] for name in plan.states},
        shape,
        _loss(plain["loss"], of_classes=plain["classes"] is not None),
        _classes(plain["classes"]),
        plain_flag(plain["single"], "single"),
        None if plain["encoder"] is None else TableEncoder.from_plain(plain["encoder"]),
        None if plain["target"] is None else target_from_plain(plain["target"]),
        _record(plain["record"]),
        ImageEncoder.from_plain(plain["images"]) if "images" in plain else None,
    )
    _check_agreement(model, plan.output_shape)
    return model


def _check_agreement(model: Model, output_shape: Shape) -> None:
    """The parts of a model must fit each other, so that predicting cannot fail later."""
    if model.encoder is not None and (len(model.encoder.feature_names),) != model.input_shape:
        raise DescriptionError("the table encoding does not give the network's inputs")
    if model.images is not None and model.images.input_shape != model.input_shape:
        raise DescriptionError("the images do not have the shape of the network's inputs")
    if model.images is not None and model.encoder is not None:
        raise DescriptionError("a model takes tables or images, not both")
    wide = output_shape[0] if len(output_shape) == 1 else 0
    if model.classes is not None:
        expected = 2 if model.loss.kind == "binary" and wide <= 1 else wide
        if model.loss.kind == "numbers" or len(model.classes) != expected:
            raise DescriptionError(f"{len(model.classes)} classes for output shape {output_shape}")
    if isinstance(model.target, ClassTarget) and model.target.classes != model.classes:
        raise DescriptionError("the target's classes are not the model's")
    if isinstance(model.target, (NumberTarget, TargetScale)) and model.classes is not None:
        raise DescriptionError("a target of numbers in a model of classes")
    each = model.loss.outputs_per_number
    if isinstance(model.target, TargetScale) and not model.target.fits(output_shape, each):
        raise DescriptionError("the target's scale does not fit the network's outputs")


def _loss(plain: Plain, *, of_classes: bool) -> Loss:
    if plain is None:
        return CustomClassLoss(_forgotten) if of_classes else CustomLoss(_forgotten)
    return cast("Loss", from_plain("loss", plain))


def _forgotten(outputs: Tensor, targets: Tensor) -> Tensor:
    raise DescriptionError("the model was trained with a loss function, which its file cannot hold")


def _shape(plain: Plain) -> Shape:
    lengths = plain_list(plain, "input_shape")
    for length in lengths:
        if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length < 2**31:
            raise DescriptionError(f"input_shape holds {length!r:.40}")
    return tuple(cast("list[int]", lengths))


def _classes(plain: Plain) -> tuple[Label, ...] | None:
    if plain is None:
        return None
    labels = plain_list(plain, "classes")
    if not all(isinstance(label, (bool, int, float, str)) for label in labels):
        raise DescriptionError("classes holds something that is no label")
    if len({type(label) for label in labels}) > 1 or len(set(map(str, labels))) != len(labels):
        raise DescriptionError("classes holds mixed types or a label twice")
    return tuple(cast("list[Label]", labels))


def _record(plain: Plain) -> dict[str, Plain]:
    if not isinstance(plain, dict):
        raise DescriptionError("record must be an object")
    return plain


def _dtype_of(parameters: Mapping[str, Array]) -> np.dtype[Any]:
    return next((array.dtype for array in parameters.values()), DTYPES["float32"])


def prefixed(**groups: Mapping[str, Array]) -> dict[str, Array]:
    """Groups of arrays in one mapping, ``group/path``."""
    return {
        f"{group}/{path}": array for group, part in groups.items() for path, array in part.items()
    }


def unprefixed(arrays: Mapping[str, Array], group: str) -> dict[str, Array]:
    """The arrays of one group, by path."""
    start = f"{group}/"
    return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}


def network_to_plain(network: Network) -> dict[str, Plain]:
    """A network as JSON data; of a function only its name."""
    if isinstance(network, Layer):
        return to_plain(network)
    return {"type": "function", "name": getattr(network, "__qualname__", type(network).__name__)}


def network_from_plain(plain: Plain, function: Network | None) -> Network:
    """The network that JSON data describes; a function must be given by the caller."""
    if isinstance(plain, dict) and plain.get("type") == "function":
        name = plain_object(plain, ("type", "name"), "network")["name"]
        if function is None:
            raise DescriptionError(f"the network was the Python function {name!r:.80}")
        return function
    return cast("Layer", from_plain("layer", plain))
