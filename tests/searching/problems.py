"""A small learning problem for tests of searches, and what a journal holds of one."""

import json

import numpy as np

import thalweg as tw
from thalweg.searching.search import search

SPACE = {
    "width": [4, 8],
    "optimizer.learning_rate": tw.Range(1e-4, 1.0, log=True),
}


def moons(rows=160, seed=0):
    """Two classes told apart by the sign of a product: inputs (rows, 4) and labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)).astype("float32")
    return x, (x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=rows) > 0).astype(int)


def network(settings):
    return tw.Sequential(tw.Linear(settings["width"]), tw.Tanh(), tw.Linear(2))


def small(journal=None, *, build=network, space=SPACE, **options):
    """A search of a few seconds at most."""
    x, y = moons()
    given = {"trials": 12, "epochs": 9, "population": 6, "batch_size": 32, **options}
    return search(build, space, x, y, journal=journal, **given)


def told(path):
    """The events of a journal without times, in an order that threads do not decide."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    events = [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]
    return sorted(json.dumps(event, sort_keys=True) for event in events)


def facts(found):
    """All of a search but times."""
    return [
        (t.number, t.settings, t.value, t.epochs, t.state, t.reason, t.seed, t.history.rows)
        for t in found.trials
    ]


def same_model(one, other):
    return one.parameters.keys() == other.parameters.keys() and all(
        value.tobytes() == other.parameters[path].tobytes()
        for path, value in one.parameters.items()
    )
