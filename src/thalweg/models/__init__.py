"""Networks that have a name: functions that return plain layers.

>>> from thalweg import models
>>> models.lenet5().summary((1, 28, 28)).parameters
61706
"""

from thalweg.models.alexnet import alexnet
from thalweg.models.lenet import lenet5, lenet5_1998
from thalweg.models.registry import MODELS, model
from thalweg.models.resnet import resnet

__all__ = ["MODELS", "alexnet", "lenet5", "lenet5_1998", "model", "resnet"]
