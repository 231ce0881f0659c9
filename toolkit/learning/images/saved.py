"""The trained network of a finished run of pictures."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import RunError, ToolkitError
from toolkit.learning.images.augment import answer_mirrored
from toolkit.learning.images.networks import Network, create_network, stats_of
from toolkit.learning.runs import read_checkpoint


def load_network(folder: Path | str) -> Network:
    """The trained network of a run, with the `stats` its pictures are normalised with, from its best checkpoint.

    It is not calibrated: its scores lie apart from the program's by one factor. Raises `RunError`.
    """
    path = Path(folder) / "checkpoints" / "best.pth"
    if not path.is_file():
        raise RunError(f"{folder}: not a run of ours (no checkpoints/best.pth)")
    saved = read_checkpoint(path)
    try:
        network = create_network(saved["arch"], len(saved["classes"]))
        network.model.load_state_dict(saved["model"])
        network.stats = stats_of(saved["stats"])
        answer_mirrored(network.model, saved["augment"])
    except (KeyError, TypeError, ValueError, RuntimeError, ToolkitError) as error:
        raise RunError(f"{path}: written by another version, or damaged ({error}): run it again") from error
    network.model.eval()
    return network
