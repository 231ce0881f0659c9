"""Make `sounds/` and `sound_long.wav`: six two-vowel words said by eight synthetic voices. `python sample_data/make_sounds.py`.

A file of its own because speech has a model of its own, the source and filter of Fant (1960): a train of glottal pulses and
some breath pass through the resonances (formants) of a vocal tract that moves from one vowel to the next. Each file has its
own seed, so any part can be made alone, byte for byte.
"""

from __future__ import annotations

import csv
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
RATE = 8000  # samples a second, 16 bits, mono
TAKES = 10
SEED = 1960

# Hz; first three formants, means over 33 men: Peterson and Barney (1952), table II
VOWELS = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240)}
TRACT_OF_TABLE = 17.5  # cm, the usual length for men
BANDWIDTHS = (60, 80, 120)  # Hz, near the usual values of Klatt (1980)

# each word has a mirror image: what sounds, averaged over time, does not tell the two apart
WORDS = ("ai", "au", "ia", "iu", "ua", "ui")


@dataclass(frozen=True)
class Voice:
    """Who speaks: middle pitch in Hz, vocal tract in cm, length of a word in s, and how the voice sounds."""

    pitch: float
    tract: float  # formants lie at 17.5 / tract times those of the table
    seconds: float
    breath: float  # breath noise against the pulses
    jitter: float  # spread of the length of a glottal period, as a part of it
    melody: float  # semitones the pitch rises over a word


VOICES = {
    "voice1": Voice(92, 18.0, 0.52, 0.03, 0.010, -3.0),
    "voice2": Voice(108, 17.4, 0.40, 0.08, 0.015, -1.0),
    "voice3": Voice(125, 16.9, 0.47, 0.05, 0.008, 2.0),
    "voice4": Voice(148, 16.2, 0.36, 0.15, 0.020, -4.0),
    "voice5": Voice(180, 15.4, 0.50, 0.06, 0.008, -2.0),
    "voice6": Voice(212, 14.8, 0.42, 0.12, 0.012, 3.0),
    "voice7": Voice(245, 14.0, 0.38, 0.05, 0.010, -3.0),
    "voice8": Voice(290, 13.2, 0.45, 0.10, 0.015, 1.0),
}
LONG_VOICE = Voice(165, 15.8, 0.45, 0.07, 0.010, -2.0)  # says sound_long.wav and nothing else


def pulses(pitch: np.ndarray, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Glottal flow between 0 and 1 for a pitch in Hz at every sample: Rosenberg (1971), pulse C.

    The flow rises over 40 % of a period as 1 - cos, falls over the next 16 % as cos, and is shut for the rest.
    """
    starts, lengths = [0.0], []
    while starts[-1] < len(pitch):
        lengths.append(RATE / pitch[int(starts[-1])] * (1 + jitter * rng.standard_normal()))
        starts.append(starts[-1] + lengths[-1])
    sample = np.arange(len(pitch))
    period = np.searchsorted(starts, sample, side="right") - 1
    phase = (sample - np.array(starts)[period]) / np.array(lengths)[period]
    rise, fall = 0.5 * (1 - np.cos(np.pi * phase / 0.4)), np.cos(np.pi / 2 * (phase - 0.4) / 0.16)
    return np.where(phase < 0.4, rise, np.where(phase < 0.56, fall, 0.0))


def resonate(signal: np.ndarray, formant: np.ndarray, bandwidth: float) -> np.ndarray:
    """One formant: the two-pole resonator of Klatt (1980), eq. 1 and 2, its frequency in Hz given at every sample."""
    c = -np.exp(-2 * np.pi * bandwidth / RATE)
    b = 2 * np.exp(-np.pi * bandwidth / RATE) * np.cos(2 * np.pi * formant / RATE)
    a = 1 - b - c
    out, last, before = np.empty(len(signal)), 0.0, 0.0
    for index, (push, pull) in enumerate(zip((a * signal).tolist(), b.tolist(), strict=True)):
        last, before = push + pull * last + c * before, last
        out[index] = last
    return out


def smooth_step(x: np.ndarray) -> np.ndarray:
    """0 before 0, 1 after 1, between them a movement of least jerk: Flash and Hogan (1985)."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def say(word: str, voice: Voice, rng: np.random.Generator) -> np.ndarray:
    """`word` in `voice` once, between -1 and 1. `rng` decides what differs from take to take."""
    # how this voice says its vowels: the same in every take
    accent = np.random.default_rng([SEED, round(10 * voice.tract)]).normal(1, 0.04, (len(VOWELS), 3))
    targets = {vowel: np.array(hz) * accent[row] for row, (vowel, hz) in enumerate(VOWELS.items())}
    seconds = np.clip(voice.seconds * rng.lognormal(0, 0.12), 0.28, 0.65)
    place = np.linspace(0, 1, int(seconds * RATE))

    start, stop = rng.uniform(0.1, 0.35), rng.uniform(0.55, 0.85)
    # quick speech does not reach its targets: undershoot, Lindblom (1963)
    short, shy = rng.uniform(0, 0.3, 2)
    moved = short + (1 - short - shy) * smooth_step((place - start) / (stop - start))
    first, last = (targets[vowel] * rng.normal(1, 0.08, 3) for vowel in word)
    formants = np.outer(1 - moved, first) + np.outer(moved, last)
    formants = np.minimum(formants * TRACT_OF_TABLE / voice.tract, 0.46 * RATE)

    melody = (voice.melody + 2 * rng.standard_normal()) * (place - 0.5) + 0.7 * rng.standard_normal()
    flow = pulses(voice.pitch * 2 ** (melody / 12), voice.jitter, rng)
    # breath passes while the glottis is open; at the lips sound pressure follows the change of the flow
    source = np.diff(flow + voice.breath * (0.3 + flow) * rng.standard_normal(len(flow)), prepend=0)
    for formant, bandwidth in zip(formants.T, BANDWIDTHS, strict=True):
        source = resonate(source, formant, bandwidth * rng.uniform(0.8, 1.3))

    loud = smooth_step(place * seconds / 0.04) * smooth_step((1 - place) * seconds / rng.uniform(0.06, 0.15))
    sound = source * loud * np.exp(-rng.uniform(0, 0.9) * place)
    return sound / np.abs(sound).max()


def take(word: str, voice: Voice, rng: np.random.Generator) -> np.ndarray:
    """One recording: a word with a little quiet around it, at some level, in a room with some noise."""
    before, after = rng.integers(int(0.01 * RATE), int(0.07 * RATE), 2)
    sound = np.pad(say(word, voice, rng) * rng.uniform(0.25, 0.9), (before, after))
    return sound + 10 ** rng.uniform(-3.2, -2.0) * rng.standard_normal(len(sound))


def long_recording() -> tuple[np.ndarray, list[tuple[str, str, str]]]:
    """Every word three times by a voice that `sounds/` does not know, and the start and stop of each in seconds."""
    rng = np.random.default_rng([SEED, len(VOICES)])
    parts, times, at = [], [], 0
    for word in rng.permutation(WORDS * 3):
        quiet, spoken = np.zeros(rng.integers(int(0.4 * RATE), int(1.3 * RATE))), 0.6 * say(str(word), LONG_VOICE, rng)
        at += len(quiet)
        times.append((f"{at / RATE:.3f}", f"{(at + len(spoken)) / RATE:.3f}", str(word)))
        at += len(spoken)
        parts += [quiet, spoken]
    sound = np.concatenate([*parts, np.zeros(RATE // 2)])
    return sound + 0.003 * rng.standard_normal(len(sound)), times


def write(path: Path, sound: np.ndarray) -> None:
    """A 16-bit mono WAV file of a sound between -1 and 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(np.round(32767 * np.clip(sound, -1, 1)).astype("<i2").tobytes())


def sounds(folder: Path, words=WORDS, voices=tuple(VOICES), takes: int = TAKES) -> int:
    """`{word}/{word}_{voice}_{take}.wav` below `folder`, all or some of them."""
    for word in words:
        for name in voices:
            for number in range(takes):
                rng = np.random.default_rng([SEED, WORDS.index(word), list(VOICES).index(name), number])
                write(folder / word / f"{word}_{name}_{number:02d}.wav", take(word, VOICES[name], rng))
    return len(words) * len(voices) * takes


def main(folder: Path = HERE) -> None:
    """Write `sounds/`, `sound_long.wav` and its times below `folder`."""
    print(f"sounds: {sounds(folder / 'sounds')} recordings")
    sound, times = long_recording()
    write(folder / "sound_long.wav", sound)
    with (folder / "sound_long.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("start", "stop", "label"), *times])
    print(f"sound_long.wav: {len(sound) / RATE:.1f} s, {len(times)} words")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
