"""``thalweg train``: what it says, what it leaves, what it refuses."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli import options
from thalweg.cli.train import parse_hidden, parse_kinds, parse_patience
from thalweg.errors import SettingError
from thalweg.tabular import TableSettings

FAST = ("--epochs", 2, "--hidden", 4)


def left() -> list[str]:
    """What lies in the folder, apart from tables."""
    return sorted(str(path) for path in Path().rglob("*") if path.suffix != ".csv")


def test_training_says_what_it_does_and_leaves_a_model(thalweg, csv):
    done = thalweg("train", csv(), "--target", "sold", *FAST)
    assert done.code == 0
    for text in (
        "rows.csv: 40 rows, 3 of 3 columns used as inputs",
        "sold    boolean",
        "rows      24 for training, 8 for validation, 8 for the test",
        "network   5-4-2, relu, dropout 0.2: 34 parameters",
        "training  adam, learning rate 0.0018 falling to 0, batches of 16, at most 2 epochs, seed",
        "Results on 8 test rows that no training saw",
        "network",
        "majority class",
        "logistic regression",
        f"model     {Path('runs/rows/model.safetensors')}",
        "use it    thalweg predict",
    ):
        assert text in done.out, text
    assert "epoch 1/2: training loss" in done.err
    assert "trained 2 epochs in" in done.err
    assert left() == ["runs", "runs/rows", "runs/rows/model.safetensors"]


def test_the_last_line_is_a_command_that_works(thalweg, csv):
    done = thalweg("train", csv("my rows.csv"), "--target", "sold", *FAST)
    import shlex

    words = shlex.split(done.out.splitlines()[-1].removeprefix("use it"))
    assert words[:2] == ["thalweg", "predict"]
    assert thalweg(*words[1:]).code == 0
    assert Path("predictions.csv").exists()


def test_regression_is_reported_in_the_targets_unit(thalweg, csv):
    done = thalweg("train", csv(), "--target", "price", *FAST)
    assert done.code == 0
    assert "RMSE" in done.out
    assert "linear model" in done.out


def test_the_task_can_be_chosen(thalweg, csv):
    table = csv(price=[str(i % 3) for i in range(40)])
    assert "TARGET (classification)" in thalweg("train", table, "--target", "price", *FAST).out
    command = ("train", table, "--target", "price", "--task", "regression", *FAST)
    assert "TARGET (regression)" in thalweg(*command).out


def test_the_target_of_built_in_tables_need_not_be_named(thalweg):
    done = thalweg("train", "iris", *FAST)
    assert done.code == 0
    assert "thalweg predict runs/iris/model.safetensors iris --out" in done.out


def test_kinds_and_columns_to_leave_out(thalweg, csv):
    command = ("train", csv(), "--target", "sold", *FAST)
    assert "network   16-4-2" in thalweg(*command, "--kind", "size=category").out
    assert "network   1-4-2" in thalweg(*command, "--drop", "price", "--drop", "city").out


def test_each_run_gets_its_own_folder(thalweg, csv):
    table = csv()
    for _ in range(3):
        assert thalweg("train", table, "--target", "sold", *FAST, "--quiet").code == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["rows", "rows-2", "rows-3"]


def test_the_same_call_twice_into_one_folder_replaces_the_model_and_says_so(thalweg, csv):
    command = ("train", csv(), "--target", "sold", "--out", "here", *FAST)
    assert thalweg(*command).code == 0
    before = Path("here/model.safetensors").read_bytes()
    again = thalweg(*command)
    assert again.code == 0
    assert "an earlier model of the same table and target, will be replaced" in again.err
    first, second = tw.load("here/model.safetensors"), Path("here/model.safetensors").read_bytes()
    assert len(second) > 0 < len(before)
    assert first.record["seed"] == 0


def test_another_tables_model_is_not_replaced_unless_allowed(thalweg, csv):
    assert thalweg("train", csv(), "--target", "sold", "--out", "here", *FAST).code == 0
    before = Path("here/model.safetensors").read_bytes()
    other = ("train", csv("other.csv"), "--target", "sold", "--out", "here", *FAST)
    refused = thalweg(*other)
    assert refused.code == 2
    assert "holds another model (rows.csv, target 'sold')" in refused.err
    assert "--overwrite" in refused.err
    assert Path("here/model.safetensors").read_bytes() == before
    assert thalweg(*other, "--overwrite").code == 0
    assert tw.load("here/model.safetensors").record["table"] == "other.csv"


def test_a_file_of_that_name_that_is_no_model_is_not_replaced(thalweg, csv):
    Path("here").mkdir()
    Path("here/model.safetensors").write_text("my notes")
    refused = thalweg("train", csv(), "--target", "sold", "--out", "here", *FAST)
    assert refused.code == 2
    assert "is there already and no model of this program's" in refused.err
    assert Path("here/model.safetensors").read_text() == "my notes"


def test_json_is_one_object_a_line_and_nothing_else(thalweg, csv):
    done = thalweg("train", csv(), "--target", "sold", "--json", *FAST)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["epoch"] for row in rows[:-1]] == [1, 2]
    assert {"train_loss", "validation_loss", "learning_rate", "seconds"} <= rows[0].keys()
    last = rows[-1]
    assert last["model"] == "runs/rows/model.safetensors"
    assert last["rows"] == {"train": 24, "validation": 8, "test": 8}
    assert last["test"] == tw.load(last["model"]).record["test"]
    assert last["baselines"].keys() == {"majority class", "logistic regression"}
    assert last["stop_reason"] == "epochs"
    assert done.err == ""


def test_quiet_says_only_warnings(thalweg, csv):
    done = thalweg("train", csv(), "--target", "sold", "--quiet", *FAST)
    assert (done.code, done.out, done.err) == (0, "", "")
    table = csv(sold=["yes", "no", ""] * 13 + ["yes"])
    warned = thalweg("train", table, "--target", "sold", "--quiet", *FAST)
    assert warned.out == ""
    assert "warning: column 'sold', line 4: no target here: 13 rows left out" in warned.err


def test_rows_without_a_target_are_counted(thalweg, csv):
    table = csv(sold=["yes", "no", ""] * 13 + ["yes"])
    done = thalweg("train", table, "--target", "sold", *FAST)
    assert done.code == 0
    assert "- warning: column 'sold', line 4: no target here: 13 rows left out" in done.out
    assert "rows      17 for training, 5 for validation, 5 for the test" in done.out


def test_infinities_among_the_inputs_count_as_missing_and_are_told(thalweg, csv):
    table = csv(size=["inf", *[str(i / 2) for i in range(39)]])
    done = thalweg("train", table, "--target", "sold", *FAST)
    assert done.code == 0
    assert "column 'size', line 2: infinity (1 cell in all) counts as missing" in done.out


def test_text_where_numbers_are_due_is_told(thalweg, csv):
    table = csv(size=["tall", *[str(i / 2) for i in range(39)]])
    done = thalweg("train", table, "--target", "sold", *FAST)
    assert done.code == 0
    assert "column 'size', line 2: 'tall' is not a number" in done.out


def test_a_column_without_values_is_left_out(thalweg, csv):
    done = thalweg("train", csv(size=[""] * 40), "--target", "sold", *FAST)
    assert done.code == 0
    assert "not used as inputs: 'size' (empty)" in done.out


def test_the_same_seed_gives_the_same_model(thalweg, csv):
    command = ("train", csv(), "--target", "sold", "--quiet", *FAST, "--seed")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert thalweg(*command, seed, "--out", name).code == 0
    a, b, c = (tw.load(f"{name}/model.safetensors").parameters for name in "abc")
    assert all(np.array_equal(a[path], b[path]) for path in a)
    assert not all(np.array_equal(a[path], c[path]) for path in a)


def test_the_defaults_are_those_of_the_library():
    assert TableSettings(early_stopping=options.PATIENCE) == TableSettings()
    assert parse_hidden(options.HIDDEN) == TableSettings().hidden


def test_options_in_text():
    assert parse_hidden(" 8 , 4 ") == (8, 4)
    assert parse_kinds(["a=b=category"]) == {"a=b": "category"}
    assert parse_patience(0) > 10**9
    with pytest.raises(SettingError, match="takes COLUMN=KIND, such as zip=category, got 'zip'"):
        parse_kinds(["zip"])


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--target", "sould"], 2, "rows.csv has no column 'sould'; did you mean 'sold'?"),
        ([], 2, "name the column to predict with --target; rows.csv has size, city, sold, price"),
        (["--target", "sold", "--task", "both"], 2, "task 'both' is not one of auto"),
        (["--target", "city", "--task", "regression"], 1, "'city' is not a number but category"),
        (["--target", "sold", "--hidden", "64;64"], 2, "--hidden takes whole numbers between"),
        (["--target", "sold", "--hidden", "64,,64"], 2, "such as 64,64, got '64,,64'"),
        (["--target", "sold", "--hidden", "1000000000000"], 2, "1,000,000,000,000 units; choose"),
        (["--target", "sold", "--hidden", "1000000,1000000"], 2, "more than this version trains"),
        (["--target", "sold", "--hidden", "0"], 2, "hidden layer 1 is to have 0 units"),
        (["--target", "sold", "--activation", "rely"], 2, "did you mean 'relu'?"),
        (["--target", "sold", "--optimizer", "adm"], 2, "did you mean 'adam'?"),
        (["--target", "sold", "--learning-rate", "-1"], 2, "learning_rate = -1 is outside"),
        (["--target", "sold", "--learning-rate", "x"], 2, "learning_rate: unknown schedule 'x'"),
        (["--target", "sold", "--epochs", "0"], 2, "epochs must be a whole number of at least 1"),
        (["--target", "sold", "--batch-size", "0"], 2, "batch_size must be a whole number of at"),
        (["--target", "sold", "--batch-size", "25"], 2, "= 25 is beyond the 24 training rows"),
        (["--target", "sold", "--dropout", "1"], 2, "Dropout.rate = 1.0 is outside [0, 1)"),
        (["--target", "sold", "--clip", "-1"], 2, "ClipNorm.bound = -1 is outside"),
        (["--target", "sold", "--seed", "-1"], 2, "seed must be a whole number"),
        (["--target", "sold", "--early-stopping", "-1"], 2, "-1 is negative; 0 turns it off"),
        (["--target", "sold", "--kind", "size"], 2, "--kind takes COLUMN=KIND"),
        (["--target", "sold", "--kind", "size=big"], 2, "kind 'big' of column 'size' is not one"),
        (["--target", "sold", "--drop", "sizes"], 2, "no column 'sizes'; did you mean 'size'?"),
        (["--target", "sold", "--resume"], 2, "--resume needs the folder of the run: --out DIR"),
        (["--target", "sold", "--out", "rows.csv"], 1, "cannot make the folder rows.csv: it is a"),
        (["--target", "sold", "--nonsense"], 2, "No such option: --nonsense"),
    ],
)
def test_what_cannot_be_is_refused_with_one_message(thalweg, csv, words, code, text):
    csv()
    done = thalweg("train", "rows.csv", *words)
    assert text in done.err
    assert done.code == code
    assert "Traceback" not in done.err
    assert left() == []


def broken(text: str) -> str:
    Path("broken.csv").write_text(text)
    return "broken.csv"


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        ("", 1, "broken.csv is empty"),
        ("x,y\n", 1, "has a header line (x, y) but no rows"),
        ("x,y\n1,2\n", 1, "the target 'y' has one value only"),
        ("x,y\n" + "1,a\n2,a\n3,a\n", 1, "the target 'y' has one value only (always 'a')"),
        ("x,y\n" + "1,\n2,\n3,\n", 1, "the target 'y' holds no value in 3 rows"),
        ("x,y\n" + ",a\n,b\n" * 5, 1, "has no column to learn from (x: empty)"),
        ("x,y\n1,2\n1,2,3\n", 1, "line 3: the row is too long: 3 cells where the header has 2"),
        ("x,y\n1,2\n1\n", 1, "line 3: the row is too short"),
        ("x,y\n1,1.5\n2,inf\n3,2.5\n", 1, "the target 'y' is infinite in line 3"),
        ("x,y\n1,1.5\n2,2.5\n", 1, "2 rows cannot be split into 3 parts"),
        ("x,y\n" + "".join(f"{i},k{i}\n" for i in range(30)), 1, "30 classes in 30 rows"),
    ],
)
def test_tables_that_cannot_be_learned_are_refused(thalweg, content, code, text):
    done = thalweg("train", broken(content), "--target", "y")
    assert text in done.err
    assert done.code == code
    assert left() == []


def test_a_missing_table_and_an_unknown_name_are_answered_with_the_nearest(thalweg, csv):
    csv("houses.csv")
    assert "did you mean 'houses.csv'?" in thalweg("train", "house.csv", "--target", "y").err
    unknown = thalweg("train", "breast_cancr")
    assert unknown.code == 1
    assert "did you mean 'breast_cancer'?" in unknown.err
    assert left() == []


def test_without_a_table_the_usage_is_shown(thalweg):
    done = thalweg("train")
    assert done.code == 2
    assert "Missing argument" in done.err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused_before_training(thalweg, csv, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    done = thalweg("train", csv(), "--target", "sold", "--out", "locked")
    assert (done.code, done.out) == (1, "")
    assert "cannot write in the folder locked" in done.err


def test_a_folder_below_a_file_is_refused_before_training(thalweg, csv):
    table = csv()
    done = thalweg("train", table, "--target", "sold", "--out", f"{table}/deep")
    assert (done.code, done.out) == (1, "")
    assert "cannot make the folder rows.csv/deep" in done.err


def test_a_folder_in_the_place_of_the_model_is_refused_before_training(thalweg, csv, tmp_path):
    (tmp_path / "here" / "model.safetensors").mkdir(parents=True)
    done = thalweg("train", csv(), "--target", "sold", "--out", "here")
    assert (done.code, done.out) == (1, "")
    assert "model.safetensors is a folder" in done.err


def test_a_run_that_explodes_says_where_and_leaves_no_model(thalweg, csv):
    words = ("--optimizer", "sgd", "--learning-rate", "1e30", "--epochs", 20)
    done = thalweg("train", csv(), "--target", "price", *words)
    assert done.code == 1
    assert "gave NaN or infinity" in done.err
    assert "try" in done.err
    assert not any(path.endswith("model.safetensors") for path in left())


def test_debug_shows_the_traceback_and_keeps_the_exit_code(thalweg, csv):
    table = csv()
    for words in (
        ("train", table, "--target", "nothing", "--debug"),
        ("--debug", "train", table, "--target", "nothing"),
    ):
        done = thalweg(*words)
        assert done.code == 2
        assert "Traceback" in done.err
        assert "error: " in done.err


def test_too_little_memory_is_told(thalweg, csv, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("thalweg.tabular.ensembles.fit", fail)
    done = thalweg("train", csv(), "--target", "sold")
    assert done.code == 1
    assert "error: not enough memory" in done.err
    assert left() == []
