"""Sounds -> log-mel spectrograms: time from left to right, pitch from bottom to top, loudness as brightness.

This is the converter as a user sees it: which part of a recording is looked at, and what its picture shows. The arithmetic is in
`spectra`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from toolkit.converters.sources import check_source, source_name
from toolkit.errors import ConversionError, ToolkitError
from toolkit.needs import require

require("scipy", "soundfile", why="to hear", extra="sound")

from toolkit.converters.spectra import decibels, deltas, mel_bank, mel_power, resample, trimmed  # noqa: E402

if TYPE_CHECKING:
    from soundfile import SoundFile

PARTS = ("centre", "start", "loudest")
CHANNELS = ("plain", "deltas", "resolutions")
LEVELS = ("relative", "absolute")
RATES = (1_000, 768_000)  # samples a second that a file may have
LONGEST = 120.0  # seconds in one picture
BLOCK = 2**20  # numbers read at once
MOST_CHANNELS = 64
LOUDEST = 1e6  # full scale is 1; a file of floats may hold more, but no sound this much
SILENT = "silent: every sample is zero"
# what libsndfile notes of a WAV or AIFF file that ends early; a recorder that could not go back to the header leaves the
# largest number in it
SHORTENED, STREAMED = re.compile(r"(?m)^\W*(?:data|SSND) : (\d+) \(should be (\d+)\)"), 0x7FFF_0000
MPEG_SLACK = 4608  # frames by which the length of an MP3 file may be misjudged
PIECES = 20  # of a picture, among which the loudest stretch is looked for
SLOPE, CURVATURE = 10.0, 5.0  # decibels a frame, and a frame squared, from grey to white


@dataclass(frozen=True)
class Sound:
    """A recording in any format libsndfile reads -> the picture of `duration` seconds of it, `size` x `size` pixels.

    Channels are averaged, and the result brought to `rate` samples a second. Of a longer recording, `part` is shown: its
    "centre", "start", or the "loudest" stretch; a shorter one has silence around it. With `duration` 0 the whole recording
    fills the picture, however long (up to two minutes). What is more than `trim` decibels below the loudest frame at either
    end is cut off first (0: nothing is; windows never are). Frames of `fft` samples every `hop` samples give `mels` bands from
    `fmin` to `fmax` hertz (0: half the rate). Black is `decibels` below white, which is the loudest point of the
    picture (`level` "relative") or full scale ("absolute"). Low frequencies are at the bottom. The three `channels`: "plain",
    the same in all; "deltas", the spectrogram, its slope and its curvature over time; "resolutions", the spectrogram of frames
    half as long, as said, and twice as long. `windows` shows `duration` seconds every `step` seconds (0: every `duration`).
    """

    size: int = 48
    rate: int = 16_000
    duration: float = 0.0
    part: str = "centre"
    trim: float = 30.0
    step: float = 0.0
    fft: int = 512
    hop: int = 128
    mels: int = 32
    fmin: float = 50.0
    fmax: float = 0.0
    decibels: float = 60.0
    level: str = "relative"
    channels: str = "plain"

    suffixes: ClassVar[tuple[str, ...]] = (
        ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".snd", ".caf", ".w64", ".rf64",
    )  # fmt: skip
    needs: ClassVar[tuple[str, ...]] = ("scipy", "soundfile")

    def __post_init__(self) -> None:
        for name, choices in (("part", PARTS), ("channels", CHANNELS), ("level", LEVELS)):
            if getattr(self, name) not in choices:
                raise ToolkitError(f"sound: {name} {getattr(self, name)!r}; choose from {', '.join(choices)}")
        highest = self.fmax or self.rate / 2
        bounds = {
            "size": (self.size, 8, 1024), "rate": (self.rate, *RATES), "fft": (self.fft, 16, 65536), "hop": (self.hop, 1, 65536),
            "mels": (self.mels, 4, 512), "decibels": (self.decibels, 1, 200), "duration": (self.duration, 0, LONGEST),
            "step": (self.step, 0, LONGEST), "fmin": (self.fmin, 0, highest - 1), "fmax": (highest, 1, self.rate / 2),
            "trim": (self.trim, 0, 200),
        }  # fmt: skip
        for name, (value, low, high) in bounds.items():
            whole = isinstance(getattr(type(self), name), int)
            if not isinstance(value, (int,) if whole else (int, float)) or not low <= value <= high:
                kind = "a whole number" if whole else "a number"
                raise ToolkitError(f"sound: {name} {value!r}; expected {kind} from {low:g} to {high:g}")
        if 0 < self.duration * self.rate < self.hop:
            raise ToolkitError(f"sound: duration {self.duration} is shorter than one hop ({self.hop / self.rate} s)")

    def __call__(self, source: Path | bytes) -> Image.Image:
        """The picture of one part of a recording. Raises `ConversionError`."""
        return self.picture(self.samples(source))

    def windows(self, source: Path | bytes) -> Iterator[tuple[float, float, Image.Image]]:
        """Yield (start, stop, picture) for each window, in seconds, in one pass; see `segments`."""
        for start, stop, samples in self.segments(source):
            yield start, stop, self.picture(samples)

    def samples(self, source: Path | bytes) -> np.ndarray:
        """What the picture shows of a recording: mono, float32 from -1 to 1, at `rate`. Raises `ConversionError`."""
        name = source_name(source)
        with _opened(source) as sound:
            frames = round(self.duration * sound.samplerate) or _all_frames(sound, name)
            start = self._start(sound, frames, name=name)
            heard = resample(self._heard(sound, name, start=start, frames=frames), sound.samplerate, wanted=self.rate)
        return self._fitted(trimmed(heard, self.trim, fft=self.fft, hop=self.hop) if self.trim else heard, self.rate)

    def segments(self, source: Path | bytes) -> Iterator[tuple[float, float, np.ndarray]]:
        """Yield (start, stop, samples) of `duration` seconds, every `step` seconds and once more up to the end, where half a
        step or more would be missed. A shorter recording gives one, with silence around it. One pass, constant memory."""
        name = source_name(source)
        if not self.duration:
            raise ToolkitError("sound: windows need a duration, in seconds: what is to be seen at once")
        with _opened(source) as sound:
            rate = sound.samplerate
            length, step = round(self.duration * rate), max(1, round((self.step or self.duration) * rate))
            if sound.frames <= length:
                yield 0.0, sound.frames / rate, self._fitted(self._heard(sound, name, start=0, frames=length), rate)
                return
            held, at, start, heard = (
                np.empty(0, np.float32),
                0,
                0,
                False,
            )  # `held` begins at sample `at`, the next window at `start`
            for block in _blocks(sound, name):
                held, heard = np.concatenate([held, block]), heard or bool(block.any())
                end = at + len(held)
                while start + length <= end:
                    yield start / rate, (start + length) / rate, self._fitted(held[start - at : start - at + length], rate)
                    start += step
                gone = max(0, min(start, end - length) - at)
                held, at = held[gone:], at + gone
            last = at + len(held) - length
            if not start:  # an MP3 file that is shorter than its header says
                yield 0.0, len(held) / rate, self._fitted(held, rate)
            elif last - (start - step) >= step / 2:
                yield last / rate, (last + length) / rate, self._fitted(held[-length:], rate)
            if not heard:
                raise ConversionError(name, SILENT)

    def picture(self, samples: np.ndarray) -> Image.Image:
        """The picture of mono `samples` at `rate`, all of them."""
        levels = self.levels(samples)
        if self.channels == "plain":
            return Image.merge("RGB", [self._drawn(levels / self.decibels + 1)] * 3)
        if self.channels == "deltas":
            slope, curvature = deltas(levels)
            bands = [levels / self.decibels + 1, 0.5 + slope / (2 * SLOPE), 0.5 + curvature / (2 * CURVATURE)]
        else:
            bands = [self.levels(samples, fft) / self.decibels + 1 for fft in (self.fft // 2, self.fft, 2 * self.fft)]
        return Image.merge("RGB", [self._drawn(band) for band in bands])

    def levels(self, samples: np.ndarray, fft: int = 0) -> np.ndarray:
        """The log-mel spectrogram in decibels, float32 (mels, frames) from -`decibels` to 0, low frequencies first."""
        fft, fmax = fft or self.fft, self.fmax or self.rate / 2
        power = mel_power(samples, self.rate, fft=fft, hop=self.hop, mels=self.mels, fmin=self.fmin, fmax=fmax)
        loudest = None  # of the picture; else that of a sine of full scale in the narrowest band
        if self.level == "absolute":
            loudest = (fft / 4) ** 2 * float(mel_bank(self.rate, fft, mels=self.mels, fmin=self.fmin, fmax=fmax).max())
        return decibels(power, self.decibels, reference=loudest)

    def _drawn(self, band: np.ndarray) -> Image.Image:
        """Values from 0 to 1, low frequencies first -> a grey picture."""
        grey = (band[::-1] * 255 + 0.5).clip(0, 255).astype(np.uint8)
        return Image.fromarray(grey).resize((self.size, self.size), Image.Resampling.BILINEAR)

    def _heard(self, sound: SoundFile, name: str, *, start: int, frames: int) -> np.ndarray:
        """At most `frames` frames from `start` on. Raises `ConversionError` where they are less than one hop."""
        found = _mono(sound, name, start=start, frames=frames)
        if len(found) * self.rate < self.hop * sound.samplerate:
            least = self.hop / self.rate
            raise ConversionError(
                name, f"too short: {len(found)} samples at {sound.samplerate} a second, less than one hop ({least:g} s)"
            )
        if not found.any():
            raise ConversionError(name, SILENT)
        return found

    def _fitted(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """`samples` at `self.rate`, `duration` long: silence is put around what is shorter."""
        samples = resample(samples, rate, wanted=self.rate)
        length = round(self.duration * self.rate)
        if not length or len(samples) == length:
            return samples
        before = max(0, length - len(samples)) // 2
        return np.pad(samples[:length], (before, max(0, length - len(samples)) - before))

    def _start(self, sound: SoundFile, frames: int, *, name: str) -> int:
        """The first frame of the part of `frames` frames that is shown."""
        spare = max(0, sound.frames - frames)
        if self.part != "loudest" or not spare:
            return spare // 2 if self.part == "centre" else 0
        piece = max(1, frames // PIECES)
        energy = np.concatenate([_energies(block, piece) for block in _blocks(sound, name, multiple=piece)])
        sums = np.convolve(energy, np.ones(PIECES), "valid") if len(energy) > PIECES else energy[:1]
        return min(int(sums.argmax()) * piece, spare)


def length_and_rate(source: Path | bytes) -> tuple[float, int]:
    """The seconds a recording lasts, and its samples a second, by its header. Raises `ConversionError`."""
    with _opened(source) as sound:
        return sound.frames / sound.samplerate, sound.samplerate


@contextmanager
def _opened(source: Path | bytes) -> Iterator[SoundFile]:
    """The sound file, open, with a rate and channels that can be worked with."""
    import soundfile

    name, checked, opened = source_name(source), check_source(source), False
    try:
        with soundfile.SoundFile(os.fsencode(checked) if isinstance(checked, Path) else checked) as sound:
            if not RATES[0] <= sound.samplerate <= RATES[1]:
                raise ConversionError(
                    name, f"{sound.samplerate} samples a second; expected from {RATES[0]} to {RATES[1]}: is it damaged?"
                )
            if sound.channels > MOST_CHANNELS:
                raise ConversionError(name, f"{sound.channels} channels, more than {MOST_CHANNELS}: is it damaged?")
            if not sound.frames:
                raise ConversionError(name, "holds no samples, or is truncated")
            shortened = SHORTENED.search(sound.extra_info)
            promised, there = map(int, shortened.groups()) if shortened else (0, 0)
            if there < promised < STREAMED:
                raise ConversionError(name, f"truncated: its header promises {promised} bytes of samples, {there} are there")
            opened = True
            yield sound
    except (soundfile.SoundFileError, TypeError, OSError) as error:  # TypeError: a suffix that stands for bare samples
        reason = (getattr(error, "error_string", None) or str(error)).strip().rstrip(".")
        if opened or "not a regular file" in reason:  # what libsndfile says of an MP3 file whose frames make no sense
            raise ConversionError(name, f"truncated or damaged: copy it again ({reason})") from error
        raise ConversionError(name, f"not a sound that libsndfile reads ({reason})") from error


def _all_frames(sound: SoundFile, name: str) -> int:
    if sound.frames > LONGEST * sound.samplerate:
        minutes = sound.frames / sound.samplerate / 60
        raise ConversionError(name, f"{minutes:.0f} minutes are too long for one picture: give a duration, or use windows")
    return sound.frames


def _mono(sound: SoundFile, name: str, *, start: int, frames: int) -> np.ndarray:
    """`frames` frames from `start` on, channels averaged: float32, fewer where the file ends early."""
    sound.seek(start)
    return np.concatenate([np.empty(0, np.float32), *_blocks(sound, name, frames=frames)])


def _blocks(sound: SoundFile, name: str, *, multiple: int = 1, frames: int | None = None) -> Iterator[np.ndarray]:
    """The sound from where it stands, channels averaged, in blocks of a `multiple` of frames: float32 (frames,)."""
    size = max(1, BLOCK // sound.channels // multiple) * multiple
    left = sound.frames - sound.tell()
    left = left if frames is None else min(frames, left)
    while left > 0 and len(block := sound.read(min(size, left), dtype="float32", always_2d=True)):
        mono = block[:, 0] if sound.channels == 1 else block.mean(axis=1)
        fine = np.abs(mono) < LOUDEST  # False for what is no number
        if not fine.all():
            where = sound.tell() - len(mono) + int(np.flatnonzero(~fine)[0])
            raise ConversionError(name, f"sample {where} is no number that a sound can have: export the sound again")
        yield mono
        left -= len(mono)
    if left > MPEG_SLACK:
        raise ConversionError(name, f"truncated: {left} samples are missing at the end")


def _energies(block: np.ndarray, piece: int) -> np.ndarray:
    """The energy of each `piece` samples of a block, of the last ones too where they are fewer."""
    return np.add.reduceat(np.square(block, dtype=np.float64), np.arange(0, len(block), piece))
