"""Every choice of training from the command line: what it does, what is kept, what is refused."""

import json

import pytest

import thalweg as tw
from thalweg.descriptions import members, to_plain
from thalweg.tabular import activation_names
from thalweg.tabular.choices import normalisation_names

FAST = ("--epochs", 2, "--hidden", 4)
MODEL = "here/model.safetensors"


@pytest.fixture
def trained(thalweg, csv):
    """Train with more options and give the model."""

    def train(*words: object, target: str = "sold") -> tw.Model:
        done = thalweg("train", csv(), "--target", target, "--out", "here", "--quiet", *words)
        assert (done.code, done.out, done.err) == (0, "", "")
        return tw.load(MODEL)

    return train


def kinds(model):
    return [layer["type"] for layer in to_plain(model.network)["layers"]]


# ------------------------------------------------------------------ the network


def test_each_hidden_layer_is_built_as_chosen(trained):
    model = trained(
        "--epochs", 2, "--hidden", "4,3", "--activation", "leaky_relu(0.2)", "--normalise",
        "layer_norm(shift=false)", "--initialiser", "he(distribution=uniform)", "--dropout", 0.25,
    )  # fmt: skip
    hidden = ["linear", "layer_norm", "leaky_relu", "dropout"]
    assert kinds(model) == [*hidden, *hidden, "linear"]
    assert model.network[0].weight == tw.He("uniform")
    assert model.network[8].weight == tw.Linear(2).weight
    assert model.network[1] == tw.LayerNorm(shift=False)
    assert model.network[2] == tw.LeakyReLU(0.2)


@pytest.mark.parametrize("name", ["batch_norm", "weight_norm"])
def test_normalised_layers_train(trained, name):
    model = trained(*FAST, "--normalise", name)
    assert name in kinds(model)
    wraps = name == "weight_norm"
    assert kinds(model)[:2] == ([name, "relu"] if wraps else ["linear", name])


def test_the_whole_network_may_be_given(trained, thalweg, csv):
    spec = "sequential(linear(3), tanh, linear(2))"
    model = trained("--epochs", 2, "--network", spec)
    assert model.network == tw.Sequential(tw.Linear(3), tw.Tanh(), tw.Linear(2))
    assert model.record["dropout"] is None
    said = thalweg("train", csv(), "--target", "sold", "--epochs", 1, "--network", spec).out
    assert f"network   5 inputs, {spec}: 26 parameters" in said


# ------------------------------------------------------------------ training


def test_what_training_was_like_is_in_the_models_file(trained):
    model = trained(
        *FAST, "--optimizer", "adam(beta2=0.99)", "--learning-rate",
        "warm_up(then=cosine(0.01), length=1)", "--clip", "value(-0.5, 0.5)", "--average",
        "ema(0.9)", "--augment", "mixup(0.3)", "--class-weight", "{yes: 2}", "--statistics",
        "exact", "--loss", "binary_cross_entropy",
    )  # fmt: skip
    record = model.record
    rate = {"type": "cosine", "initial": 0.01, "length": 0, "final": 0.0, "per": "update"}
    assert record["optimizer"]["learning_rate"] == {
        "type": "warm_up", "then": rate, "length": 1, "per": "update",
    }  # fmt: skip
    assert record["optimizer"]["beta2"] == 0.99
    assert record["clip"] == {"type": "value", "low": -0.5, "high": 0.5}
    assert record["average"]["decay"] == 0.9
    assert record["augment"] == {"type": "mixup", "alpha": 0.3}
    assert record["class_weight"] == {"yes": 2.0}
    assert record["statistics"] == "exact"
    assert model.loss == tw.BinaryCrossEntropy()
    assert model.network[-1].features == 1
    assert list(model.classes) == ["no", "yes"]
    assert model.predict_proba("rows.csv").shape == (40, 2)


def test_classes_that_are_numbers_have_weights(thalweg, csv):
    table = csv(sold=[str((7 * i) % 13 > 6).replace("True", "1").replace("False", "0")
                      for i in range(40)])  # fmt: skip
    words = ("train", table, "--target", "sold", "--task", "classification", *FAST, "--quiet")
    done = thalweg(*words, "--out", "here", "--class-weight", "{0: 1, 1: 2}")
    assert (done.code, done.err) == (0, "")
    assert tw.load(MODEL).record["class_weight"] == {"0": 1.0, "1": 2.0}


def test_accumulated_batches_make_fewer_updates(trained):
    one = trained(*FAST, "--batch-size", 6, "--overwrite")
    four = trained(*FAST, "--batch-size", 6, "--accumulate", 4, "--overwrite")
    assert four.record["accumulate"] == 4
    assert one.record["updates"] == four.record["updates"]  # batches are counted
    assert (one.parameters["0.weight"] != four.parameters["0.weight"]).any()


def test_numbers_stand_for_the_usual_description(trained):
    record = trained(
        *FAST, "--clip", 0.5, "--average", 0.9, "--learning-rate", 0.01, "--penalty", 0.001
    ).record
    assert record["clip"] == {"type": "norm", "bound": 0.5}
    assert record["average"]["type"] == "ema"
    assert record["optimizer"]["learning_rate"] == 0.01
    assert record["penalty"]["type"] == "l2"


def test_a_rate_inside_the_optimiser_is_taken_and_else_it_falls(trained):
    assert trained(*FAST, "--optimizer", "sgd(0.5)").record["optimizer"]["learning_rate"] == 0.5
    falling = trained(*FAST, "--optimizer", "sgd", "--overwrite").record["optimizer"]
    assert falling["learning_rate"]["type"] == "cosine"


def test_balanced_classes_change_what_is_learned(trained):
    plain = trained(*FAST)
    balanced = trained(*FAST, "--class-weight", "balanced", "--overwrite")
    assert balanced.record["class_weight"] == "balanced"
    assert (plain.parameters["0.weight"] != balanced.parameters["0.weight"]).any()


@pytest.mark.parametrize("name", ["momentum", "lbfgs"])
def test_optimisers_train(trained, name):
    assert trained(*FAST, "--optimizer", name, target="price").record["optimizer"]["type"] == name


def test_a_rule_ends_training(trained):
    record = trained("--hidden", 4, "--epochs", 9, "--stop", "small_change(1000)").record
    assert (record["epochs"], record["stop_reason"]) == (2, "small change")
    assert record["stop"] == {"type": "small_change", "tolerance": 1000, "patience": 1}
    assert record["early_stopping"]["patience"] == 20


def test_the_plan_says_what_was_chosen(thalweg, csv):
    done = thalweg(
        "train", csv(), "--target", "sold", *FAST, "--normalise", "layer_norm", "--optimizer",
        "adam(beta2=0.99)", "--learning-rate", "cosine(0.01, length=9)", "--clip", "1",
        "--class-weight", "balanced", "--accumulate", 2, "--initialiser", "he",
    )  # fmt: skip
    assert "network   5-4-2, layer_norm, relu, initialiser he, dropout 0.2: 42 para" in done.out
    assert (
        "training  adam(beta2=0.99), learning rate cosine(initial=0.01, length=9), batches of 16"
    ) in done.out
    assert "with      clip 1, class weight balanced, updates from 2 batches" in done.out


def test_the_plan_says_nothing_of_what_the_network_lacks(thalweg, csv):
    done = thalweg("train", csv(), "--target", "sold", "--epochs", 1, "--hidden", "", "--out", "a",
                   "--statistics", "exact")  # fmt: skip
    assert done.code == 0
    assert "network   5-2, linear: 12 parameters\n" in done.out
    assert "exact statistics" not in done.out
    assert "note: exact statistics change nothing: the network has no batch norm" in done.err
    assert tw.load("a/model.safetensors").record["dropout"] is None
    words = ("--normalise", "batch_norm", "--statistics", "exact")
    done = thalweg("train", csv(), "--target", "sold", *FAST, "--out", "b", *words)
    assert "with      exact statistics" in done.out
    assert "exact statistics change" not in done.err


def test_the_help_lists_every_registered_name(thalweg, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    text = thalweg("train", "--help").out
    families = ("optimizer", "schedule", "loss", "initialiser", "clipping", "averaging", "penalty")
    for family in families:
        assert ", ".join(members(family)) in text, family
    assert ", ".join(activation_names()) in text
    assert ", ".join(normalisation_names()) in text


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--optimizer", "adam(beta3=1)"], "optimizer: adam has no field 'beta3'; did you mean"),
        (["--optimizer", "adam(0.1"], "expected ',' or ')', got the end (character 9 of 'adam("),
        (["--optimizer", "3"], "optimizer: expected an optimizer, such as"),
        (["--learning-rate", "cosin(0.1)"], "learning_rate: unknown schedule 'cosin'; did you"),
        (["--learning-rate", "cosine(-1)"], "Cosine.initial = -1 is outside [0, ∞) (character 8"),
        (["--activation", "leaky_relu(-2)"], "activation: LeakyReLU.slope = -2 is outside"),
        (["--activation", "linear(3)"], "unknown activation 'linear'"),
        (["--activation", "3"], "unknown activation '3'"),
        (["--activation", "("], "activation: expected a name"),
        (["--initialiser", "hee"], "initialiser: unknown initialiser 'hee'; did you mean 'he'?"),
        (["--normalise", "layernorm"], "unknown normalisation 'layernorm'; did you mean 'layer_n"),
        (["--normalise", "relu"], "unknown normalisation 'relu'. Known: layer_norm, rms_norm"),
        (["--normalise", "dropout(0.5)"], "unknown normalisation 'dropout'"),
        (["--normalise", "3"], "unknown normalisation '3'"),
        (["--normalise", "weight_norm(linear(64))"], "weight_norm goes around each hidden layer"),
        (["--normalise", "spectral_norm(inner=linear(4))"], "leave its layer out"),
        (["--normalise", "spectral_norm(iterations=0)"], "SpectralNorm.iterations = 0 is outside"),
        (["--normalise", "group_norm"], "normalise: group_norm needs groups"),
        (["--normalise", "group_norm(3)"], "3 groups do not divide the 4 channels"),
        (["--loss", "hubber"], "loss: unknown loss 'hubber'"),
        (["--loss", "squared_error"], "is for numbers, but this is a classification; choose a"),
        (["--clip", "norm(bound=0)"], "clip: ClipNorm.bound = 0 is outside (0, ∞) (character 12"),
        (["--clip", "big"], "clip: unknown clipping 'big'; known: norm, value"),
        (["--average", "1"], "EMA.decay = 1 is outside [0, 1)"),
        (["--average", "emma"], "average: unknown averaging 'emma'; did you mean 'ema'?"),
        (["--penalty", "l3"], "penalty: unknown penalty 'l3'; known:"),
        (["--penalty", "-1"], "L2.factor = -1.0 is outside [0, ∞)"),
        (["--stop", "small"], "stop: unknown stopping 'small'"),
        (["--augment", "mix"], "augment: unknown augmentation 'mix'"),
        (["--class-weight", "even"], "class_weight must be balanced, or weights by class as in"),
        (["--class-weight", "{yes: much}"], "class_weight must hold a number for each class"),
        (["--class-weight", "{maybe: 2}"], "class_weight names 'maybe'; the target 'sold' has"),
        (["--accumulate", "0"], "accumulate must be a whole number of at least 1, got 0"),
        (["--statistics", "none"], "statistics = 'none' is not one of running, exact"),
        (["--network", "linear(3)"], "needs (2,): end the network with linear(2)"),
        (["--network", "sequential(linear(8), 3)"], "network: expected a layer, such as"),
        (["--network", "linear(2)", "--normalise", "layer_norm"], "leave out normalise"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(thalweg, csv, words, text):
    hidden = () if "--network" in words else ("--hidden", 4)
    done = thalweg("train", csv(), "--target", "sold", "--epochs", 1, "--quiet", *hidden, *words)
    assert done.code == 2, done.err
    assert text in done.err
    assert done.err.count("error:") == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--loss", "cross_entropy"], "is for classes, but this is a regression"),
        (["--class-weight", "balanced"], "class_weight needs targets that are one label a row"),
        (["--class-weight", "{a: 1}"], "class_weight is for classes, but 'price' holds numbers"),
    ],
)
def test_what_numbers_cannot_have(thalweg, csv, words, text):
    done = thalweg("train", csv(), "--target", "price", *FAST, *words)
    assert done.code == 2
    assert text in done.err


def test_json_mode_is_as_before(thalweg, csv):
    done = thalweg("train", csv(), "--target", "sold", *FAST, "--json", "--normalise", "rms_norm")
    assert [json.loads(line).get("epoch") for line in done.out.splitlines()] == [1, 2, None]
