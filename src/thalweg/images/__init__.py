"""From images to a trained, tested model in one call.

>>> import numpy as np, thalweg as tw
>>> from thalweg.images import fit_images
>>> x = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
>>> network = tw.Sequential(tw.Flatten(), tw.Linear(2))
>>> run = fit_images(x, network, labels=np.arange(40) % 2, epochs=1, progress=False)
>>> str(run.model.images), run.model.classes
('4x4 L', (0, 1))
"""

from thalweg.images.fitting import fit_images, fit_prepared_images, image_network
from thalweg.images.judging import ClassFigures
from thalweg.images.preparing import PreparedImages, open_images, prepare_images
from thalweg.images.run import ImageRun
from thalweg.images.settings import ImageSettings

__all__ = [
    "ClassFigures",
    "ImageRun",
    "ImageSettings",
    "PreparedImages",
    "fit_images",
    "fit_prepared_images",
    "image_network",
    "open_images",
    "prepare_images",
]
