"""The summary table, checked by hand."""

from thalweg.nn.activations import Maxout, PReLU, ReLU
from thalweg.nn.containers import Sequential
from thalweg.nn.convolution import Conv2d
from thalweg.nn.dropout import Dropout
from thalweg.nn.initialisers import Zeros
from thalweg.nn.layer import initialise
from thalweg.nn.linear import Linear
from thalweg.nn.pooling import MaxPool2d
from thalweg.nn.structure import Flatten
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


def test_the_table_of_images_has_receptive_fields():
    net = Sequential(Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(4, (1, 3)), Flatten())
    assert str(net.summary((1, 8, 8))).splitlines() == [
        "layer  type       output shape  receptive field  jump  parameters  FLOP/row",
        "─────  ─────────  ────────────  ───────────────  ────  ──────────  ────────",
        "input             1×8×8",
        "0      Conv2d     6×8×8         5×5              1            156    14,256",
        "1      ReLU       6×8×8                                         0       384",
        "2      MaxPool2d  6×4×4         6×6              2              0       384",
        "3      Conv2d     4×4×2         6×10             2             76     1,184",
        "4      Flatten    32                                            0         0",
        "─────  ─────────  ────────────  ───────────────  ────  ──────────  ────────",
        "total                                                         232    16,208",
    ]


def test_unequal_jumps_are_both_shown():
    net = Sequential(Conv2d(1, 3, stride=(1, 2)))
    assert net.summary((1, 8, 8)).rows[0].receptive == ((3, 3), (1, 2))
    assert "3×3              1×2" in str(net.summary((1, 8, 8)))
