"""Made recordings."""

import numpy as np
import soundfile

SOUND_RATE = 8000


def write_recording(path, hertz, seconds, seed):
    """A tone that wavers, in noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    wavering = hertz * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(1, 3) * time))
    samples = 0.3 * np.sin(2 * np.pi * np.cumsum(wavering) / SOUND_RATE) + 0.02 * rng.standard_normal(len(time))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SOUND_RATE)
