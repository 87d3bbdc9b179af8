"""What may be asked, and what is said of the rest."""

import pytest

from thalweg.bench.__main__ import main
from thalweg.bench.machine import core_count
from thalweg.bench.options import chosen_peers, chosen_threads, parse
from thalweg.bench.populations import MAIN, population_case
from thalweg.errors import SettingError


def test_the_defaults_measure_everything():
    options, grid_peers = parse([])
    assert [case.network for case in options.cases] == [
        "30-64-64-2", "784-256-128-10", "784-1024-1024-10",
        "lenet", "lenet", "lenet", "lenet", "resnet",
    ]  # fmt: skip
    assert [options.protocol_of(case).rounds for case in options.cases[2:4]] == [7, 5]
    assert options.peers[0] == "thalweg"
    assert grid_peers == ("thalweg", "pytorch", "jax")
    assert options.threads == tuple(sorted({1, core_count()}))
    assert options.out is None


def test_quick_is_small_and_gives_way():
    options, _ = parse(["--quick"])
    assert (len(options.cases), options.grid, options.protocol.rounds) == (1, "none", 3)
    options, _ = parse(["--quick", "--rounds", "5", "--peers", "jax"])
    assert options.protocol.rounds == 5
    assert options.peers == ("thalweg", "jax")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--peers", "torch"], "--peers: 'torch' is not one of all, thalweg, pytorch"),
        (["--grid-peers", ""], "--grid-peers: '' is not one of"),
        (["--cases", "tiny"], "--cases: 'tiny' is not one of"),
        (["--threads", "0"], "--threads: '0' is neither all nor 1 to"),
        (["--threads", "4096"], "--threads: '4096'"),
        (["--threads", "1,"], "--threads: ''"),
        (["--rounds", "0"], "--rounds = 0 is below 1"),
        (["--grid-rounds", "-1"], "--grid-rounds = -1 is below 1"),
        (["--seconds", "nan"], "--seconds = nan is outside"),
        (["--grid-seconds", "0"], "--grid-seconds = 0.0 is outside"),
        (["--population-rounds", "0"], "--population-rounds = 0 is below 1"),
        (["--population-seconds", "61"], "--population-seconds = 61.0 is outside"),
        (["--epochs", "0"], "--epochs = 0 is below 1"),
    ],
)
def test_a_wrong_value_is_an_error_of_one_line(words, message, capsys):
    with pytest.raises(SettingError) as caught:
        parse(words)
    assert str(caught.value).startswith(message)
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {message}")
    assert said.out == ""


@pytest.mark.parametrize("words", [["--grid", "huge"], ["--backend", "magic"], ["--rouns", "3"]])
def test_an_unknown_word_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "report"
    path.write_text("x")
    with pytest.raises(SettingError, match="is a file; name a folder"):
        parse(["--out", str(path)])


def test_lists_keep_one_of_each_in_order():
    assert chosen_peers("--peers", "jax,pytorch,jax") == ("thalweg", "pytorch", "jax")
    assert chosen_threads("all,1,1") == tuple(sorted({1, core_count()}))


def test_the_main_population_is_measured_longer():
    options, _ = parse(["--population-rounds", "2", "--population-seconds", "3"])
    few = options.population_protocol_of(population_case(8))
    main_one = options.population_protocol_of(MAIN)
    assert (few.rounds, few.most_seconds) == (2, 3.0)
    assert (main_one.rounds, main_one.most_seconds) == (4, 6.0)
    assert parse(["--rounds", "3"])[0].validation_rounds == 3
    assert parse(["--rounds", "9"])[0].validation_rounds == 5
