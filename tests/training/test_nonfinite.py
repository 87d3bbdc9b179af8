"""NaN and infinity: stopped in the same step, undone, and named."""

import numpy as np
import pytest
from tests.training.problems import blobs, classifier, line

import thalweg as tw
from thalweg.errors import NonFiniteError
from thalweg.optim.clipping import ClipValue
from thalweg.optim.optimizers import SGD


def fit(net, x, y, **options):
    return tw.fit(net, x, y, **{"progress": False, "epochs": 5, "batch_size": 16, **options})


def test_a_diverging_run_is_rolled_back_to_the_last_finite_state(tmp_path):
    x, y = blobs()
    path = tmp_path / "run.checkpoint"
    with pytest.raises(NonFiniteError, match=r"update \d+: .* learning_rate ten times") as caught:
        fit(classifier(), x, y, optimizer=SGD(1e12), checkpoint=path)
    run = caught.value.run
    assert run.stop_reason == "non-finite"
    assert all(np.isfinite(value).all() for value in run.model.parameters.values())
    assert path.exists()


@tw.register("layer", "test_root")
class Root(tw.Layer):
    """√(x - 1000), whose value and derivative leave the real numbers."""

    def forward(self, x, scope):
        return tw.sqrt(x - 1000.0)


def test_a_forward_fault_names_the_layer():
    x, y = line()
    net = tw.Sequential(tw.Linear(4), Root(), tw.Linear(1))
    with pytest.raises(NonFiniteError, match=r"update 1: 1 \(Root\), forward pass, operation sqrt"):
        fit(net, x, y)


@tw.register("layer", "test_corner")
class Corner(tw.Layer):
    """√|x|·0: the value is fine at 0, the derivative is not."""

    def forward(self, x, scope):
        return tw.sqrt(x * 0.0) + x


def test_a_backward_fault_names_layer_and_direction():
    x, y = line()
    net = tw.Sequential(tw.Linear(4), Corner(), tw.Linear(1))
    with pytest.raises(NonFiniteError, match=r"update 1: 1 \(Corner\), backward pass"):
        fit(net, x, y)
    with pytest.raises(NonFiniteError, match="backward pass"):
        fit(net, x, y, clip=ClipValue(-1.0, 1.0))


def test_a_loss_that_is_undefined_is_named():
    x, y = line()

    def loss(outputs, targets):
        return tw.log(targets - 1e6) + outputs

    with pytest.raises(NonFiniteError, match=r"update 1: loss, forward pass, operation log"):
        fit(tw.Linear(1), x, y, loss=loss)


def test_the_first_bad_update_is_the_one_reported():
    x, y = line()
    updates = []
    with pytest.raises(NonFiniteError) as caught:
        fit(tw.Linear(1), x, y * 1e20, optimizer=SGD(1e3), epochs=50,
            callbacks=[lambda epoch: updates.append(epoch.step)])  # fmt: skip
    number = int(str(caught.value).split(":")[0].split()[1])
    assert number == caught.value.run.timing.updates + 1


@tw.register("layer", "test_growing_state")
class Growing(tw.Layer):
    """A state that overflows while output, loss and gradients stay finite."""

    def forward(self, x, scope):
        state = scope.state("size", (), start=1.0)
        scope.update("size", state * 1e30)
        return x


def test_a_state_that_overflows_is_found_too():
    x, y = line()
    with pytest.raises(NonFiniteError, match=r"update 2: ") as caught:
        fit(tw.Sequential(tw.Linear(1), Growing()), x, y)
    assert np.isfinite(caught.value.run.model.states["1.size"])


def test_an_optimizer_slot_that_overflows_is_found_too():
    x, y = line()

    def loss(outputs, targets):
        return outputs * 1e25 + targets * 0.0

    with pytest.raises(NonFiniteError, match=r"update 1: optimizer, update pass"):
        fit(tw.Linear(1), x, y, loss=loss)


def test_the_advice_names_the_domain_of_the_operation():
    x, y = line()

    def network(x, scope):
        return scope.apply("out", tw.Linear(1), tw.log(x))

    with pytest.raises(NonFiniteError, match="log needs operands that are positive"):
        fit(network, x, y)
