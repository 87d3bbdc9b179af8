import errno
import json
import math
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import FileError, SettingError
from thalweg.searching import lines
from thalweg.searching.journal import Journal, read_journal

HEAD = {"space": "s", "seed": 1}
WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def filled(path, count=3, head=HEAD):
    with Journal.open(path, head) as journal:
        for number in range(count):
            journal.append({"event": "finished", "number": number})
    return path.read_bytes()


def numbers(path):
    with Journal.open(path, HEAD) as journal:
        return [event["number"] for event in journal.events]


# ------------------------------------------------------------------ what is written


def test_the_file_is_one_json_object_a_line(path):
    filled(path, 2)
    first, *rest = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert first == {
        "format": "thalweg-search",
        "version": 1,
        "thalweg": tw.__version__,
        "space": "s",
        "seed": 1,
    }
    assert rest == [{"event": "finished", "number": n} for n in (0, 1)]


def test_events_come_back_in_order_and_the_file_only_grows(path):
    before = filled(path, 3)
    with Journal.open(path, HEAD) as journal:
        assert [event["number"] for event in journal.events] == [0, 1, 2]
        assert journal.torn == 0
        journal.append({"number": 3}, {"number": 4})
        assert len(journal.events) == 3
    assert path.read_bytes().startswith(before)
    assert numbers(path) == [0, 1, 2, 3, 4]
    head, events = read_journal(path)
    assert (head["seed"], len(events)) == (1, 5)


def test_what_json_has_no_word_for(path):
    event = {
        "value": math.nan,
        "history": [0.5, math.inf, -math.inf],
        "settings": {"hidden": (8, 8), "activation": tw.ReLU(), "rate": np.float32(0.5)},
    }
    with Journal.open(path, HEAD) as journal:
        journal.append(event)
    _, [back] = read_journal(path)
    assert back == {
        "value": "nan",
        "history": [0.5, "inf", "-inf"],
        "settings": {"hidden": [8, 8], "activation": "relu", "rate": 0.5},
    }
    assert [float(value) for value in back["history"]] == event["history"]


def test_numbers_come_back_to_the_last_bit(path, rng):
    values = (10.0 ** rng.uniform(-300, 300, 200)).tolist()
    with Journal.open(path, HEAD) as journal:
        journal.append({"values": values})
    assert read_journal(path)[1][0]["values"] == values


# ------------------------------------------------------------------ torn and broken lines


def test_wherever_the_last_line_is_torn_the_others_are_kept(path):
    whole = filled(path, 3)
    start = whole[:-1].rfind(b"\n") + 1
    for length in range(start, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert numbers(path) == [0, 1]
        with Journal.open(path, HEAD) as journal:
            journal.append({"event": "finished", "number": 2})
        assert path.read_bytes() == whole


def test_a_last_line_that_lacks_only_its_end_is_kept(path):
    whole = filled(path, 3)
    path.write_bytes(whole[:-1])
    assert numbers(path) == [0, 1, 2]
    assert path.read_bytes() == whole
    path.write_bytes(whole + b"\n\n")
    assert numbers(path) == [0, 1, 2]
    assert path.read_bytes() == whole


def test_a_torn_head_is_written_again(path):
    whole = filled(path, 0)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert numbers(path) == []
        assert path.read_bytes() == whole


def test_what_is_left_of_a_lost_page_is_cut(path):
    whole = filled(path, 3)
    path.write_bytes(whole + b"\0" * 4096)
    with Journal.open(path, HEAD) as journal:
        assert journal.torn == 4096
    assert path.read_bytes() == whole


def test_a_broken_line_in_the_middle_is_an_error_and_stays(path):
    whole = filled(path, 3)
    parts = whole.split(b"\n")
    for broken, said in (
        (b'{"event"', "line 2 is broken: not JSON"),
        (b"[1]", r"line 2 must be a JSON object, got \[1\]"),
        (b"", "line 2 is broken: the JSON is empty"),
    ):
        damaged = b"\n".join([parts[0], broken, *parts[2:]])
        path.write_bytes(damaged)
        with pytest.raises(FileError, match=said):
            Journal.open(path, HEAD)
        assert path.read_bytes() == damaged


@pytest.mark.parametrize("content", [b"notes", b"a,b\n1,2\n", b'{"format":"other"}\n', b"[]\n"])
def test_other_files_are_refused_and_left_alone(path, content):
    path.write_bytes(content)
    for opening in (lambda: Journal.open(path, HEAD), lambda: read_journal(path)):
        with pytest.raises(FileError, match="is no journal of a search"):
            opening()
    assert path.read_bytes() == content


def test_newer_versions_are_refused(path):
    whole = filled(path, 1).replace(b'"version":1', b'"version":2')
    path.write_bytes(whole)
    with pytest.raises(FileError, match=r"version 2, written by thalweg .* install a newer one"):
        Journal.open(path, HEAD)
    assert path.read_bytes() == whole


def test_an_empty_journal_cannot_be_read(path):
    path.touch()
    with pytest.raises(FileError, match="it is empty"):
        read_journal(path)


# ------------------------------------------------------------------ other searches


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ({"space": "t"}, "another search: another space. Go on"),
        ({"data": "e"}, "another search: another data set. Go on"),
        ({"seed": 1}, "seed = 0 there and 1 here"),
        ({"call": {"sampler": "tpe", "epochs": 3}}, "call.sampler = 'random' there and 'tpe' here"),
        ({"call": {"sampler": "random"}}, "call.epochs = 3 only there"),
        ({"space": "t", "seed": 2}, "another space; seed = 0 there and 2 here"),
        ({"seed": 0.0}, "seed = 0 there and 0.0 here"),
        ({"more": 1}, "more = 1 only here"),
    ],
)
def test_a_journal_of_another_search_is_refused(path, head, said):
    former = {"space": "s", "data": "d", "seed": 0, "call": {"sampler": "random", "epochs": 3}}
    whole = filled(path, 2, former)
    with pytest.raises(SettingError) as caught:
        Journal.open(path, former | head)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == whole
    Journal.open(path, former).close()


# ------------------------------------------------------------------ faults while writing


def test_events_that_json_cannot_hold_change_nothing(path):
    whole = filled(path, 1)
    with Journal.open(path, HEAD) as journal:
        for event, said in (
            ({"x": object()}, "cannot hold object at"),
            ({"x": 2**70}, "does not fit in 64 bits"),
            ({"x": "y" * 2**20}, "is too long"),
        ):
            with pytest.raises(FileError, match=said):
                journal.append({"number": 1}, event)
    assert path.read_bytes() == whole
    with pytest.raises(FileError, match="cannot be written"):
        Journal.open(path.with_name("new.jsonl"), {"seed": object()})
    assert not path.with_name("new.jsonl").exists()


def test_a_full_disk_leaves_the_journal_as_it_was(path, monkeypatch):
    whole = filled(path, 2)
    write = os.write
    with Journal.open(path, HEAD) as journal:

        def half(descriptor, data):
            if len(data) > 20:
                return write(descriptor, data[:20])
            raise OSError(errno.ENOSPC, "")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            with pytest.raises(FileError, match="cannot write: the disk is full"):
                journal.append({"number": 2, "filler": "x" * 15})
        assert path.read_bytes() == whole
        journal.append({"number": 2})
    assert numbers(path) == [0, 1, 2]


def test_ctrl_c_while_writing_leaves_no_half_line(path, monkeypatch):
    whole = filled(path, 2)

    def interrupted(descriptor):
        raise KeyboardInterrupt

    with Journal.open(path, HEAD) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                journal.append({"number": 2, "long": "x" * 100})
        assert path.read_bytes() == whole
        journal.append({"number": 2})
    assert numbers(path) == [0, 1, 2]


def test_what_a_failed_write_left_is_cut_before_the_next_one(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "")

    filled(path, 1)
    with Journal.open(path, HEAD) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            patch.setattr(os, "ftruncate", refuse)
            with pytest.raises(FileError, match="input/output error"):
                journal.append({"number": 1, "long": "x" * 100})
        journal.append({"number": 1})
    assert numbers(path) == [0, 1]


def test_a_journal_has_an_end(path, monkeypatch):
    monkeypatch.setattr(Journal, "most_bytes", 110)
    with Journal.open(path, HEAD) as journal:
        journal.append({"number": 0})
        with pytest.raises(FileError, match="holds at most"):
            journal.append({"number": 1}, {"number": 2})
    assert numbers(path) == [0]
    monkeypatch.setattr(lines, "MOST_BYTES", 80)
    with pytest.raises(FileError, match="a journal holds at most"):
        Journal.open(path, HEAD)


def test_a_closed_journal_takes_nothing(path):
    journal = Journal.open(path, HEAD)
    journal.close()
    journal.close()
    with pytest.raises(FileError, match="the journal is closed"):
        journal.append({"number": 0})


def test_places_where_no_journal_can_be(tmp_path):
    with pytest.raises(FileError, match="there is no such file or folder"):
        Journal.open(tmp_path / "absent" / "journal.jsonl", HEAD)
    with pytest.raises(FileError, match="it is a folder"):
        Journal.open(tmp_path, HEAD)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="it is a pipe"):
        Journal.open(tmp_path / "pipe", HEAD)
    with pytest.raises(FileError, match="NUL"):
        Journal.open("a\0b", HEAD)


# ------------------------------------------------------------------ processes


def start(path, last, *, hold=False):
    return subprocess.Popen(
        [sys.executable, WRITER, path, str(last), "hold" if hold else "end"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_search_in_this_process_is_refused(path):
    with Journal.open(path, HEAD) as journal:
        with pytest.raises(FileError, match="has this journal open"):
            Journal.open(path, HEAD)
        journal.append({"number": 0})
    assert numbers(path) == [0]


def test_a_second_process_is_refused_until_the_first_has_ended(path):
    with start(path, 2, hold=True) as process:
        assert process.stdout.readline() == "open 0\n"
        assert process.stdout.readline() == "0\n"
        assert process.stdout.readline() == "1\n"
        with pytest.raises(FileError, match=r"another process, .* has this journal open"):
            Journal.open(path, HEAD)
        assert len(read_journal(path)[1]) == 2
        process.stdin.close()
        assert process.wait(60) == 0
    assert numbers(path) == [0, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_keep_the_lock(path):
    """A child that outlives its parent must not make the journal look open."""
    code = (
        "import os, sys\n"
        "from thalweg.searching.journal import Journal\n"
        "journal = Journal.open(sys.argv[1], {'space': 's', 'seed': 1})\n"
        "if os.fork() == 0:\n"
        "    sys.stdout.close(); sys.stdin.read(); os._exit(0)\n"
        "journal.append({'number': 0}); print('forked', flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"forked\n"
        assert process.wait(60) == -signal.SIGKILL
        assert numbers(path) == [0]


def kill_and_check(path, kills, seed):
    chance, done = random.Random(seed), 0
    for _ in range(kills):
        with start(path, 10**9) as process:
            assert process.stdout.readline() == f"open {done}\n"
            for _ in range(chance.randrange(40)):
                done = int(process.stdout.readline()) + 1
            process.kill()
            rest = process.stdout.read().splitlines()
            done = max([done, *(int(line) + 1 for line in rest if line)])
        kept = numbers(path)
        assert kept == list(range(len(kept)))
        assert done <= len(kept) <= done + 1
        done = len(kept)
    return done


def test_a_killed_writer_loses_no_event(path):
    assert kill_and_check(path, 3, seed=1) > 3


@pytest.mark.soak
def test_fifty_kills_lose_no_event(path):
    assert kill_and_check(path, 50, seed=2) > 500
