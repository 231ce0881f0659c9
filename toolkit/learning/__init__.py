"""The fastai side: loaders, networks, first weights, fitting. This room is where torch and fastai are imported."""

import warnings

try:
    with warnings.catch_warnings():  # of what timm does while it is imported
        warnings.simplefilter("ignore", FutureWarning)
        import fastai.vision.learner  # noqa: F401
except (ImportError, RuntimeError) as error:
    from toolkit.errors import MissingPackage

    raise MissingPackage(
        f"torch and torchvision do not work together here ({error}). Both must come from one index: "
        "pip install --force-reinstall 'fastai-toolkit[train]', or both from the PyTorch CPU index"
    ) from error

from toolkit.learning.fitting import find_rate, fit
from toolkit.learning.runs import Run

__all__ = ["Run", "find_rate", "fit"]
