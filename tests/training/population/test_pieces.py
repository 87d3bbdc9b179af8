"""A member in pieces, branches of members, and the crew that trains them."""

import threading

import numpy as np
import pytest
from tests.training.problems import blobs, same_bits

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.training.arguments import Arguments
from thalweg.training.population.crew import Crew
from thalweg.training.population.member import MemberRun
from thalweg.training.programs import Programs

X, Y = blobs(rows=60)
NET = tw.Sequential(tw.Linear(4), tw.BatchNorm1d(), tw.Tanh(), tw.Dropout(0.2), tw.Linear(3))
OPTIONS = {"batch_size": 10, "epochs": 6, "validation": 0.25, "early_stopping": 3, "clip": 1.0}


def arguments(backend, **options):
    given = {**OPTIONS, "optimizer": tw.Adam(tw.Cosine(0.05)), "backend": backend, **options}
    return Arguments(given.pop("network", NET), X, Y, **given)


def member(backend, programs=None, number=0, **options):
    return MemberRun(arguments(backend, **options), programs or Programs(), number)


def assert_same(first, second):
    assert same_bits(first.model.parameters, second.model.parameters)
    assert same_bits(first.model.states, second.model.states)
    assert repr(first.history.rows) == repr(second.history.rows)
    assert (first.stop_reason, first.best_epoch) == (second.stop_reason, second.best_epoch)


# ------------------------------------------------------------------ pieces


@pytest.mark.parametrize("ends", [(1, 2, 3, 4, 5, 6), (4, 4, 2), (), (100,)])
def test_pieces_are_the_run_in_one_go(ends, backend):
    whole = tw.fit(**vars(arguments(backend)), progress=False)
    one = member(backend)
    for end in ends:
        one.advance(end)
        assert one.epochs == len(one.history.rows) >= min(end, 6)
    one.advance()
    assert_same(one.result(), whole)
    assert one.reason == whole.stop_reason
    one.advance()
    assert_same(one.result(), whole)


def test_early_stopping_counts_over_pieces(backend):
    noise = np.random.default_rng(0).integers(0, 3, 60)
    falling = tw.Adam(tw.ReduceOnPlateau(0.1, patience=0))
    options = {**OPTIONS, "epochs": 30, "early_stopping": 2, "optimizer": falling, "seed": 1}
    given = Arguments(NET, X, noise, **options, backend=backend)
    whole = tw.fit(**vars(given), progress=False)
    assert whole.stop_reason == "early stopping"
    assert whole.history["learning_rate"][-1] < 0.1
    one = MemberRun(given, Programs())
    while not one.reason:
        one.advance(one.epochs + 1)
    assert_same(one.result(), whole)


def test_a_member_between_pieces_can_be_looked_at(backend):
    one = member(backend)
    with pytest.raises(RuntimeError, match=r"has not begun"):
        one.result()
    assert (one.epochs, one.progress, one.reason) == (0, None, "")
    one.advance(2)
    seen = one.result()
    before = {path: value.copy() for path, value in seen.model.parameters.items()}
    assert seen.stop_reason == "paused"
    assert one.progress.step == 2 * 5
    one.advance()
    assert same_bits(seen.model.parameters, before), "what was looked at stays as it was"
    assert not same_bits(one.result().model.parameters, before)


def test_a_refused_member_keeps_its_error(backend):
    one = member(backend, batch_size=1000)
    one.advance()
    assert one.reason == "refused"
    assert "batch_size = 1000" in str(one.error)
    with pytest.raises(SettingError, match=r"batch_size = 1000"):
        one.result()


# ------------------------------------------------------------------ branches


def test_a_branch_with_the_same_settings_is_the_same_run(backend):
    one = member(backend)
    one.advance(2)
    other = one.branch(arguments(backend), 7)
    assert (other.number, other.epochs) == (7, 2)
    one.advance()
    other.advance()
    assert_same(one.result(), other.result())


def test_a_branch_goes_on_with_settings_of_its_own_and_leaves_its_parent_alone(backend):
    constant = {"optimizer": tw.Adam(0.05)}
    one, undisturbed = member(backend, **constant), member(backend, **constant)
    one.advance(2)
    copied = one.result()
    other = one.branch(arguments(backend, optimizer=tw.Adam(0.0)), 1)
    assert same_bits(other.result().model.parameters, copied.model.parameters)
    assert other.history.rows == one.history.rows
    other.advance()
    assert same_bits(other.result().model.parameters, copied.model.parameters), "a rate of 0"
    one.advance()
    undisturbed.advance()
    assert_same(one.result(), undisturbed.result())
    rates = other.result().history["learning_rate"]
    assert rates[:2].tolist() == [0.05, 0.05]
    assert rates[2:].tolist() == [0.0] * (len(rates) - 2)


def test_branches_need_a_member_that_stands_between_pieces(backend):
    one = member(backend, epochs=2)
    with pytest.raises(RuntimeError, match=r"begun and not ended"):
        one.branch(arguments(backend), 1)
    one.advance(1)
    with pytest.raises(RuntimeError, match=r"the same network and optimiser"):
        one.branch(arguments(backend, network=tw.Linear(3)), 1)
    one.advance()
    with pytest.raises(RuntimeError, match=r"begun and not ended"):
        one.branch(arguments(backend), 1)


# ------------------------------------------------------------------ the crew


class Few:
    """A source of members that are trained in two pieces each."""

    def __init__(self, members):
        self.waiting = [(one, 2) for one in members]
        self.order = []

    def next(self):
        return self.waiting.pop(0) if self.waiting else None

    def done(self, one):
        self.order.append((one.number, one.epochs))
        if not one.reason:
            self.waiting.append((one, None))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_crew_works_until_a_source_has_no_more(threads, backend):
    crew = Crew(threads)
    source = Few([member(backend, crew.programs, k, seed=k) for k in range(4)])
    members = [one for one, _ in source.waiting]
    assert crew.run(source) == ""
    assert sorted(number for number, _ in source.order) == [0, 0, 1, 1, 2, 2, 3, 3]
    for k, one in enumerate(members):
        assert_same(one.result(), tw.fit(**vars(arguments(backend, seed=k)), progress=False))


def test_an_error_in_a_source_ends_the_crew():
    class Broken:
        def next(self):
            raise LookupError("no more")

        def done(self, one):
            raise AssertionError

    before = threading.active_count()
    with pytest.raises(LookupError, match=r"no more"):
        Crew(3).run(Broken())
    assert threading.active_count() == before


def test_an_error_in_a_tick_ends_the_crew(backend):
    class Stop(Exception):
        pass

    def tick():
        raise Stop

    before = threading.active_count()
    one = member(backend, epochs=100_000, early_stopping=None)
    with pytest.raises(Stop):
        Crew(2).run(Few([one]), tick)
    assert threading.active_count() == before


def test_a_thing_is_made_once_however_many_want_it():
    programs, made, found = Programs(), [], []
    gate = threading.Barrier(4)

    def make():
        made.append(1)
        return object()

    def want(get, key):
        gate.wait()
        found.append(get(key, make))

    for get in (programs.once, programs.recent):
        threads = [threading.Thread(target=want, args=(get, "key")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 2
    assert len(set(map(id, found))) == 2
    programs.forget()
    assert programs.once("key", make) is found[0]
    assert programs.recent("key", make) is not found[-1]


def test_a_thing_that_cannot_be_made_is_tried_again():
    programs = Programs()
    for get in (programs.once, programs.recent):
        with pytest.raises(ZeroDivisionError):
            get("key", lambda: 1 / 0)
        assert get("key", list) == []
