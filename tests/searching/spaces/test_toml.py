import pytest

import thalweg as tw
from thalweg.errors import FileError, SettingError
from thalweg.searching import space_toml

TEXT = """
# a space
learning_rate = {low = 1e-4, high = 1e-1, log = true}
depth = {low = 1, high = 4}
dropout = {low = 0.0, high = 0.5, step = 0.1}
width = [16, 32, 64]
hidden = [[8], [8, 8]]
normalise = ["none", "batch_norm"]
"optimizer.beta1" = {low = 0.8, high = 0.99}
seed = 3
nesterov = true

[penalty]
factor = {low = 1e-6, high = 1, log = true}
kind = {values = ["l1", "l2"], when = {depth = [1, 2]}}
"""


def written(tmp_path, text):
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_the_space_that_it_says(tmp_path):
    assert tw.read_space(written(tmp_path, TEXT)) == tw.Space({
        "learning_rate": tw.Range(1e-4, 1e-1, log=True),
        "depth": tw.Whole(1, 4),
        "dropout": tw.Range(0, 0.5, step=0.1),
        "width": tw.Choice(16, 32, 64),
        "hidden": tw.Choice((8,), (8, 8)),
        "normalise": tw.Choice(None, "batch_norm"),
        "optimizer.beta1": tw.Range(0.8, 0.99),
        "seed": 3,
        "nesterov": True,
        "penalty.factor": tw.Range(1e-6, 1, log=True),
        "penalty.kind": tw.Choice("l1", "l2", when={"depth": [1, 2]}),
    })  # fmt: skip


def test_a_space_as_text_is_read_as_the_same(tmp_path):
    space = tw.Space({
        **tw.read_space(written(tmp_path, TEXT)).domains,
        "activation": [tw.LeakyReLU(0.1), "say \"ä\" \\ \n"],
        "class_weight": {"value": {"a b": 1.5, "c": [True, None]}},
        "batch_size": {"value": 32, "when": {"seed": [3]}},
    })  # fmt: skip
    path = written(tmp_path, space_toml(space))
    assert tw.read_space(path) == space
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(space)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (
            "a = [1, 2]\n\nrate = {low = 1.0, high = 0.5}\n",
            SettingError,
            "line 3: rate: {low = 1.0, high = 0.5} is",
        ),
        ("rate = {low = 0, high = 1.5, log = true}", SettingError, "line 1: rate: {low = 0.0"),
        ("[optimizer]\nbeta1 = [0.9]\nbeta2 = {low = 2}", SettingError, "line 3: optimizer.beta2"),
        ("a = [1, 2]\nb = []", SettingError, "line 2: b: Choice is empty"),
        ('x = [1]\n"a.b" = {low = 1, hi = 2}', SettingError, "line 2: a.b must have low and high"),
        ("a = [1, 2]\nb = {values = [1], when = {c = [1]}}", SettingError, "line 2: b depends on"),
        ("a = 1979-05-27", SettingError, "line 1: a: a constant must be"),
        ("a = nan", SettingError, "line 1: a: a constant must be a finite number"),
        ("seed = 3", SettingError, "such as learning_rate = {low = 1e-4, high = 1e-1, log = true}"),
        ("", SettingError, "nothing varies in this space"),
        ("a = [1, 2]\na = [3]\n", FileError, "is no TOML: Cannot overwrite a value (at line 2"),
        ("a = {low = 1,\n", FileError, "is no TOML"),
        ("a = " + "[" * 5000, FileError, "is nested too deeply"),
    ],
)
def test_faults_name_the_file_and_the_line(tmp_path, text, error, said):
    path = written(tmp_path, text)
    with pytest.raises(error) as caught:
        tw.read_space(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match="there is no such file"):
        tw.read_space(tmp_path / "absent.toml")
    with pytest.raises(FileError, match="it is a folder"):
        tw.read_space(tmp_path)
    path = tmp_path / "space.toml"
    path.write_bytes(b"a = ['\xff']")
    with pytest.raises(FileError, match="is not UTF-8 at byte 6"):
        tw.read_space(path)
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(FileError, match="larger than 1 MiB"):
        tw.read_space(path)
