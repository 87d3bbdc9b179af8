"""thalweg: trains feedforward networks, one or thousands, and says why training went as it did.

>>> import numpy as np, thalweg as tw
>>> net = tw.Sequential(tw.Linear(8), tw.Tanh(), tw.Linear(2))
>>> x = np.random.default_rng(0).normal(size=(64, 2))
>>> run = tw.fit(net, x, x[:, 0] > 0, epochs=30, progress=False)
>>> run.model.predict(x).shape
(64,)
"""

from thalweg.autodiff.numerical import GradientCheck, check_gradients
from thalweg.autodiff.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from thalweg.compiler.trace import trace
from thalweg.descriptions import register
from thalweg.errors import ThalwegError
from thalweg.graph import Graph, Tensor
from thalweg.model import Model, load
from thalweg.nn.activations import *  # noqa: F403 - every activation is public
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import Dropout
from thalweg.nn.functional import *  # noqa: F403 - every function is public
from thalweg.nn.initialisers import *  # noqa: F403 - every initialiser is public
from thalweg.nn.layer import Layer, Scope, apply_network, evaluate, initialise
from thalweg.nn.linear import Linear
from thalweg.nn.losses import *  # noqa: F403 - every loss is public
