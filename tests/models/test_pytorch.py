"""Named models against the same networks written with PyTorch's functions: outputs and gradients.

Weights are handed over by path; here kernels are (kh, kw, C, K) and matrices (inputs, units),
there (K, C, kh, kw) and (units, inputs).
"""

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.gaussian_units import digit_prototypes
from thalweg.nn.layer import blueprint, evaluate, initial_states, initialise
from thalweg.nn.lenet import C3_CONNECTIONS

torch = pytest.importorskip("torch")
F = torch.nn.functional


def _conv(x, p, path, **options):
    return F.conv2d(x, p[f"{path}.weight"].permute(3, 2, 0, 1), p.get(f"{path}.bias"), **options)


def _dense(x, p, path):
    return x @ p[f"{path}.weight"] + p[f"{path}.bias"]


def _lenet5(x, p):
    x = F.max_pool2d(torch.relu(_conv(x, p, "0", padding=2)), 2)
    x = F.max_pool2d(torch.relu(_conv(x, p, "3")), 2).flatten(1)
    return _dense(torch.relu(_dense(torch.relu(_dense(x, p, "7")), p, "9")), p, "11")


def _lenet5_1998(x, p):
    def squashed(x):
        return 1.7159 * torch.tanh(2 / 3 * x)

    def subsampled(x, path):
        weight, bias = (p[f"{path}.{name}"][:, None, None] for name in ("weight", "bias"))
        return squashed(4 * F.avg_pool2d(x, 2) * weight + bias)

    def c3(x):
        maps, number = [], 0
        for channels in C3_CONNECTIONS:
            kernels = p["4.weight"][:, :, number : number + len(channels)].permute(2, 0, 1)
            maps.append(F.conv2d(x[:, list(channels)], kernels[None]))
            number += len(channels)
        return torch.cat(maps, 1) + p["4.bias"][:, None, None]

    x = subsampled(squashed(_conv(x, p, "0", padding=2)), "2")
    x = subsampled(squashed(c3(x)), "6")
    x = squashed(_dense(squashed(_conv(x, p, "8")).flatten(1), p, "11"))
    return -((x[:, None] - torch.tensor(digit_prototypes())) ** 2).sum(-1)


def _alexnet(x, p):
    def normalised(x):
        x = F.local_response_norm(torch.relu(x), 5, alpha=5e-4, beta=0.75, k=2.0)
        return F.max_pool2d(x, 3, 2)

    x = normalised(_conv(x, p, "0", padding=2))
    x = normalised(_conv(x, p, "4", padding=2))
    for path in ("8", "10", "12"):
        x = torch.relu(_conv(x, p, path, padding=1))
    x = F.max_pool2d(x, 3, 2).flatten(1)
    return _dense(torch.relu(_dense(torch.relu(_dense(x, p, "17")), p, "20")), p, "22")


def _resnet(x, p):
    def normalised(x, conv, norm, stride, padding=1):
        x = _conv(x, p, conv, stride=stride, padding=padding)
        return F.batch_norm(x, None, None, p[f"{norm}.weight"], p[f"{norm}.bias"], training=True)

    x = torch.relu(normalised(x, "0", "1", 1))
    for place, stride in (("3", 1), ("5", 1), ("7", 2), ("9", 1)):
        inner = torch.relu(normalised(x, f"{place}.inner.0", f"{place}.inner.1", stride))
        inner = normalised(inner, f"{place}.inner.3", f"{place}.inner.4", 1)
        if stride == 2:
            x = normalised(x, f"{place}.projection.0", f"{place}.projection.1", 2, 0)
        x = torch.relu(x + inner)
    return _dense(x.mean((2, 3)), p, "12")


@pytest.mark.parametrize(
    ("net", "judge", "shape", "training"),
    [
        (tw.models.lenet5(), _lenet5, (1, 28, 28), True),
        (tw.models.lenet5_1998(), _lenet5_1998, (1, 28, 28), True),
        (tw.models.alexnet(width=6), _alexnet, (3, 32, 32), False),
        (tw.models.resnet(blocks=2, widths=(4, 6)), _resnet, (3, 8, 10), True),
    ],
    ids=["lenet5", "lenet5_1998", "alexnet", "resnet"],
)
def test_pytorch_agrees_on_outputs_and_gradients(net, judge, shape, training):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(4, *shape)), rng.normal(size=(4, 10))
    parameters = {
        path: value + rng.normal(0, 0.02, value.shape)
        for path, value in initialise(net, shape, dtype="float64").items()
    }
    states = initial_states(blueprint(net, shape), "float64")

    given = torch.tensor(x, requires_grad=True)
    theirs = {k: torch.tensor(v, requires_grad=True) for k, v in parameters.items()}
    wanted = judge(given, theirs)
    (wanted * torch.tensor(dy)).sum().backward()

    def output(p, z):
        return evaluate(net, p, z, states=states, training=training).output

    wanted = wanted.detach().numpy()
    scale = float(np.abs(wanted).max())
    np.testing.assert_allclose(
        output(parameters, x).numpy(), wanted, rtol=1e-11, atol=1e-12 * scale
    )
    slopes = tw.grad(lambda p, z: (output(p, z) * dy).sum(), argnums=(0, 1))(parameters, x)
    for path, value in {**slopes[0], "x": slopes[1]}.items():
        right = (given if path == "x" else theirs[path]).grad.numpy()
        size = float(np.abs(right).max())
        np.testing.assert_allclose(value.numpy(), right, rtol=1e-9, atol=1e-11 * size, err_msg=path)
