"""From samples to a log-mel spectrogram, with librosa's numbers at a fraction of its cost.

It is arithmetic alone: arrays in, arrays out. librosa, the reference it is tested against, takes seconds to import and compiles
at first use, which a program that answers once cannot pay for.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse import csr_array

LEAST_POWER = 1e-10  # librosa's `amin`: what is quieter counts as this
CHUNK = 64  # frames a transform: their spectra stay in the processor's cache
DELTA_WIDTH = 9  # frames, as librosa.feature.delta
ROLL_OFF = 0.95  # of the lower Nyquist frequency, from where resampling fades out


def mel_power(samples: np.ndarray, rate: int, *, fft: int, hop: int, mels: int, fmin: float, fmax: float) -> np.ndarray:
    """The mel power spectrogram of mono `samples`, float32 (mels, 1 + len(samples) // hop), low frequencies first.

    Frames of `fft` samples are centred at multiples of `hop`, with silence beyond both ends, and weighed by a periodic Hann
    window: `librosa.feature.melspectrogram(pad_mode="constant")`.
    """
    padded = np.zeros(len(samples) + 2 * (fft // 2), np.float32)
    padded[fft // 2 : fft // 2 + len(samples)] = samples
    if len(padded) < fft:
        padded = np.pad(padded, (0, fft - len(padded)))
    frames = sliding_window_view(padded, fft)[::hop]
    window, bank = _hann(fft), mel_bank(rate, fft, mels=mels, fmin=fmin, fmax=fmax)
    found = np.empty((mels, len(frames)), np.float32)
    for start in range(0, len(frames), CHUNK):
        # frames are columns: the transform works on many at once, and the bank finds its rows in one piece
        spectrum = scipy.fft.rfft(frames[start : start + CHUNK].T * window, axis=0)
        power = spectrum.real**2
        power += spectrum.imag**2
        found[:, start : start + CHUNK] = bank @ power
    return found


def decibels(power: np.ndarray, span: float, *, reference: float | None = None) -> np.ndarray:
    """`power` in decibels below `reference` (None: its own maximum), from -`span` to 0: `librosa.power_to_db`.

    What holds no power at all is -`span` everywhere.
    """
    highest = float(power.max()) if reference is None else reference
    if highest <= LEAST_POWER:
        return np.full_like(power, -span)
    levels = 10 * np.log10(np.maximum(power, LEAST_POWER)) - np.float32(10 * np.log10(highest))
    return np.clip(levels, -span, 0, out=levels)


@lru_cache(maxsize=16)
def mel_bank(rate: int, fft: int, *, mels: int, fmin: float, fmax: float) -> csr_array:
    """Triangular filters of equal area, evenly spaced on Slaney's mel scale (Auditory Toolbox, 1998): sparse float32
    (mels, 1 + fft // 2), `librosa.filters.mel`."""
    corners = _hertz(np.linspace(_mel(fmin), _mel(fmax), mels + 2))
    bins = np.fft.rfftfreq(fft, 1 / rate)
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling)) * (2 / (corners[2:] - corners[:-2]))[:, None]
    return csr_array(weights.astype(np.float32))


def deltas(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slope and the curvature of each row over time, a frame and a frame squared: `librosa.feature.delta` of order 1, 2.

    They are those of the line and of the parabola fitted to nine frames (Savitzky and Golay 1964), or to as many odd ones as
    there are; towards the ends, to the first or the last nine. Both are 0 where there are fewer than three frames.
    """
    count = levels.shape[1]
    width = min(DELTA_WIDTH, count - (count + 1) % 2)
    if width < 3:
        return np.zeros_like(levels), np.zeros_like(levels)
    places = np.arange(width) - width // 2
    around = sliding_window_view(levels, width, axis=1)
    ends = ((0, 0), (width // 2, count - around.shape[1] - width // 2))
    found = []
    for order in (1, 2):
        fitted = np.linalg.pinv(np.vander(places, order + 1, increasing=True))[order] * order
        found.append(np.pad(around @ fitted.astype(np.float32), ends, mode="edge"))
    return found[0], found[1]


def trimmed(samples: np.ndarray, below: float, *, fft: int, hop: int) -> np.ndarray:
    """`samples` without what is more than `below` decibels under the loudest frame at either end: `librosa.effects.trim`."""
    squares = np.zeros(len(samples) + 2 * (fft // 2) + 1)
    np.cumsum(np.square(samples, dtype=np.float64), out=squares[fft // 2 + 1 : fft // 2 + 1 + len(samples)])
    squares[fft // 2 + 1 + len(samples) :] = squares[fft // 2 + len(samples)]
    starts = np.arange(0, len(squares) - fft, hop)
    power = np.maximum(squares[starts + fft] - squares[starts], 0) / fft
    loud = np.flatnonzero(power > max(power.max(initial=0), LEAST_POWER) * 10 ** (-below / 10))
    return samples[loud[0] * hop : (loud[-1] + 1) * hop] if len(loud) else samples


def resample(samples: np.ndarray, rate: int, *, wanted: int) -> np.ndarray:
    """`samples` at `rate` brought to the rate `wanted`: what lies above the lower of the two Nyquist frequencies is left out,
    through their spectrum. Returns float32 of len(samples) * wanted / rate samples, rounded up."""
    if rate == wanted:
        return samples
    up, down = wanted // gcd(rate, wanted), rate // gcd(rate, wanted)
    length = -(-len(samples) * up // down)
    # the transform is periodic: some silence keeps the end from leaking into the start
    periods = scipy.fft.next_fast_len(-(-len(samples) // down) + 64 // min(up, down) + 1, real=True)
    spectrum = scipy.fft.rfft(samples, periods * down)
    kept = min(periods * up, periods * down) // 2 + 1
    fade = np.clip((1 - np.arange(kept, dtype=np.float32) / (kept - 1)) / (1 - ROLL_OFF), 0, 1)
    bent = np.zeros(periods * up // 2 + 1, np.complex64)
    bent[:kept] = spectrum[:kept] * (np.sin(np.pi / 2 * fade) ** 2 * np.float32(up / down))
    return scipy.fft.irfft(bent, periods * up)[:length]


@lru_cache(maxsize=8)
def _hann(length: int) -> np.ndarray:
    """A periodic Hann window, float32 (length, 1)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)[:, None]


def _mel(hertz: float) -> float:
    """Slaney's mel scale: linear up to 1 kHz (mel 15), then 27 mels to a factor of 6.4."""
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, 200 * mel / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))
