"""The summary table, checked by hand."""

from thalweg.nn.activations import Maxout, PReLU, ReLU
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import Dropout
from thalweg.nn.initialisers import Zeros
from thalweg.nn.layer import initialise
from thalweg.nn.linear import Linear
from thalweg.nn.summary import Row, summarise


def test_numbers_of_a_small_network():
    net = Sequential(Linear(64), ReLU(), Dropout(0.5), Linear(2))
    summary = net.summary(30)
    # xW: 2·30·64, +b: 64; max: 64; xW: 2·64·2, +b: 2
    assert summary.rows == (
        Row("0", "Linear", (64,), 30 * 64 + 64, 2 * 30 * 64 + 64),
        Row("1", "ReLU", (64,), 0, 64),
        Row("2", "Dropout", (64,), 0, 0),
        Row("3", "Linear", (2,), 64 * 2 + 2, 2 * 64 * 2 + 2),
    )
    assert summary.parameters == 1984 + 130
    assert summary.flops == 3904 + 64 + 258
    assert summary.input_shape == (30,)


def test_the_table():
    text = str(Sequential(Linear(1000), ReLU(), Linear(10)).summary((28, 28)))
    assert text.splitlines() == [
        "layer  type    output shape  parameters   FLOP/row",
        "─────  ──────  ────────────  ──────────  ─────────",
        "input          28×28",
        "0      Linear  28×1000           29,000  1,596,000",
        "1      ReLU    28×1000                0     28,000",
        "2      Linear  28×10             10,010    560,280",
        "─────  ──────  ────────────  ──────────  ─────────",
        "total                            39,010  2,184,280",
    ]


def test_nested_layers_are_listed_by_their_parts():
    net = Sequential(Sequential(Linear(3), PReLU()), Sequential(Maxout(2, 2)))
    rows = net.summary(4).rows
    assert [(row.path, row.kind, row.parameters) for row in rows] == [
        ("0.0", "Linear", 15),
        ("0.1", "PReLU", 1),
        ("1.0", "Maxout", 16),
    ]


def test_a_single_layer_is_a_row():
    summary = Linear(3).summary(4)
    assert summary.rows == (Row("", "Linear", (3,), 15, 27),)
    assert "network  Linear  3" in str(summary)


def test_a_network_without_layers_has_a_row():
    assert Sequential().summary(4).rows == (Row("", "Sequential", (4,), 0, 0),)


def test_a_function_has_its_own_row_where_it_computes():
    def tied(x, scope):
        hidden = scope.apply("step", Linear(4), scope.apply("step", Linear(4), x))
        inner = scope.apply("double", _double, hidden)
        return inner + scope.parameter("offset", (4,), Zeros())

    summary = summarise(tied, 4)
    assert summary.rows == (
        Row("step", "Linear", (4,), 20, 2 * 36),
        Row("double", "_double", (4,), 0, 4),
        Row("", "tied", (4,), 4, 4),
    )


def _double(x, scope):
    return 2.0 * x


def test_rows_add_up_to_the_totals():
    net = Sequential(Linear(5), PReLU(shared=False), Sequential(Maxout(3), Dropout()), Linear(1))
    summary = net.summary((2, 4))
    assert sum(row.parameters for row in summary.rows) == summary.parameters
    assert sum(row.flops for row in summary.rows) == summary.flops
    assert summary.parameters == sum(value.size for value in initialise(net, (2, 4)).values())


def test_numbers_without_axes():
    summary = summarise(lambda x, scope: x * 2.0, ())
    assert summary.rows == (Row("", "<lambda>", (), 0, 1),)
    assert "number" in str(summary)
