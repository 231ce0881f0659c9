"""Sounds become spectrograms with librosa's numbers, the same in every part of a long recording, and bad ones are named."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile

from toolkit.converters.sound import Sound, length_and_rate
from toolkit.converters.spectra import deltas, mel_power, resample, trimmed
from toolkit.errors import ConversionError, ToolkitError

RATE = 16_000


def tone(hertz, seconds=1.0, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def burst(seconds=1.0, seed=0):
    """Noise that dies away: every decibel of the range is there."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (samples * np.exp(-8 * np.linspace(0, 1, len(samples)))).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    def write(name, samples, rate=RATE, **options):
        soundfile.write(tmp_path / name, samples, rate, **options)
        return tmp_path / name

    return write


def brightest_row(image):
    """The row, from the bottom, that is brightest."""
    return image.height - 1 - int(np.asarray(image)[..., 0].mean(axis=1).argmax())


@pytest.mark.parametrize(
    ("rate", "fft", "hop", "mels", "fmin", "fmax", "length"),
    [
        (8_000, 256, 64, 40, 50, 4_000, 3_500),
        (16_000, 512, 128, 64, 0, 8_000, 16_000),
        (44_100, 2048, 512, 128, 0, 22_050, 100_000),
        (16_000, 400, 160, 80, 20, 7_600, 401),
        (8_000, 512, 128, 20, 0, 4_000, 100),
    ],
)
@pytest.mark.filterwarnings("ignore:n_fft")
def test_levels_are_those_of_librosa(rate, fft, hop, mels, fmin, fmax, length):
    import librosa

    samples = burst()[:length] if length <= RATE else np.resize(burst(), length)
    ours = Sound(rate=rate, fft=fft, hop=hop, mels=mels, fmin=fmin, fmax=fmax, decibels=80).levels(samples)
    power = librosa.feature.melspectrogram(y=samples, sr=rate, n_fft=fft, hop_length=hop, n_mels=mels, fmin=fmin, fmax=fmax)
    assert np.abs(ours - librosa.power_to_db(power, ref=np.max, top_db=80)).max() < 0.01


def test_slope_curvature_and_trimming_are_those_of_librosa():
    import librosa

    levels = Sound().levels(burst())
    slope, curvature = deltas(levels)
    assert np.allclose(slope, librosa.feature.delta(levels), atol=1e-4)
    assert np.allclose(curvature, librosa.feature.delta(levels, order=2), atol=1e-4)
    padded = np.concatenate([np.zeros(4000), burst(), np.zeros(3000)]).astype(np.float32)
    assert np.array_equal(
        trimmed(padded, 30, fft=512, hop=128), librosa.effects.trim(padded, top_db=30, frame_length=512, hop_length=128)[0]
    )


def test_resampling_keeps_what_both_rates_can_hold_and_nothing_else():
    heard = resample(tone(440, rate=44_100).astype(np.float32), 44_100, wanted=RATE)
    assert np.abs(heard - tone(440))[50:-50].max() < 1e-3
    assert np.abs(resample(tone(12_000, rate=44_100).astype(np.float32), 44_100, wanted=RATE))[200:-200].max() < 1e-3


def test_a_tone_lights_the_row_of_its_frequency_with_low_ones_at_the_bottom(write):
    import librosa

    sound = Sound(fmin=0, mels=64, size=64, fft=1024)
    rows = [brightest_row(sound(write(f"{hertz}.wav", tone(hertz)))) for hertz in (440, 1000, 4000)]
    middles = librosa.mel_frequencies(66, fmin=0, fmax=RATE / 2)[1:-1]  # of the 64 bands
    expected = [np.abs(middles - hertz).argmin() for hertz in (440, 1000, 4000)]
    assert np.abs(np.array(rows) - expected).max() <= 1


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_what_libsndfile_reads_at_any_rate_and_with_many_channels_gives_the_same_picture(write, name):
    sound = Sound()
    plain = np.asarray(sound(write("plain.wav", tone(440)))).astype(int)
    other = write(name, np.stack([tone(440, rate=44_100)] * 2, axis=1), 44_100)
    assert np.abs(np.asarray(sound(other)).astype(int) - plain).mean() < 12
    assert brightest_row(sound(other)) == brightest_row(sound(write("again.wav", tone(440))))
    assert sound(other).tobytes() == sound(other.read_bytes()).tobytes()


def test_eight_channels_at_192_kilohertz(write):
    many = write("many.wav", np.stack([tone(440, rate=192_000)] * 8, axis=1), 192_000)
    assert length_and_rate(many) == (1.0, 192_000)
    assert brightest_row(Sound()(many)) == brightest_row(Sound()(write("one.wav", tone(440))))


def test_which_part_of_a_longer_recording_is_seen(write):
    samples = np.concatenate([tone(200), tone(3000) * 0.01, tone(1000), 2 * tone(500), tone(2000)])
    path = write("long.wav", samples)
    rows = {hertz: brightest_row(Sound(duration=1.0)(write("short.wav", tone(hertz)))) for hertz in (200, 1000, 500)}
    for part, hertz in (("start", 200), ("centre", 1000), ("loudest", 500)):
        assert brightest_row(Sound(duration=1.0, part=part)(path)) == rows[hertz], part


def test_a_shorter_recording_has_silence_around_it(write):
    picture = np.asarray(Sound(size=64, duration=2.0, trim=0)(write("short.wav", tone(440))))[..., 0]
    assert picture[:, :14].max() == picture[:, -14:].max() == 0
    assert picture[:, 32].max() > 250


def test_the_three_channels(write):
    path = write("a.wav", burst())
    red, green, blue = np.moveaxis(np.asarray(Sound(channels="plain")(path)), 2, 0)
    assert (red == green).all()
    assert (red == blue).all()
    assert (np.asarray(Sound(channels="deltas")(path))[..., 0] == red).all()
    finer = np.asarray(Sound(channels="resolutions")(path))
    assert (finer[..., 1] == red).all()
    assert (finer[..., 0] != finer[..., 2]).any()


def test_levels_relative_to_the_picture_or_to_full_scale(write):
    loud, quiet = write("loud.wav", burst() / 4), write("quiet.wav", burst() / 40, subtype="FLOAT")
    relative, absolute = Sound(), Sound(level="absolute")
    assert np.abs(np.asarray(relative(loud)).astype(int) - np.asarray(relative(quiet))).max() <= 3
    drop = np.asarray(absolute(loud)).astype(int).max() - np.asarray(absolute(quiet)).max()
    assert abs(drop - 20 / 60 * 255) < 3


def test_windows_are_the_pictures_of_their_stretches_up_to_the_end(write):
    samples = np.concatenate([tone(hertz) for hertz in (200, 400, 800, 1600)] + [tone(3000, 0.4)])
    sound = Sound(duration=1.0, step=0.5)
    found = list(sound.windows(write("long.wav", samples, subtype="FLOAT")))
    spans = [(start, stop) for start, stop, _ in found]
    assert spans == [(k / 2, k / 2 + 1) for k in range(7)] + [(3.4, 4.4)]
    for start, stop, image in found:
        stretch = samples[round(start * RATE) : round(stop * RATE)].astype(np.float32)
        assert image.tobytes() == sound.picture(stretch).tobytes()


def test_a_recording_shorter_than_a_window_has_one(write):
    (window,) = Sound(duration=2.0, step=1.0).windows(write("short.wav", tone(440)))
    assert window[:2] == (0.0, 1.0)


def test_an_hour_passes_in_constant_memory(write):
    path = write("hour.wav", np.ones(3600 * 1000, np.int16), 1000)
    sound = Sound(rate=1000, fft=64, hop=32, mels=8, fmin=0, duration=10.0, size=8)
    next(sound.windows(path))
    tracemalloc.start()
    assert sum(1 for _ in sound.windows(path)) == 360
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def bad(tmp_path, kind):
    path = tmp_path / f"{kind}.wav"
    whole = np.zeros(RATE)
    soundfile.write(path, whole, RATE)
    if kind == "one sample":
        soundfile.write(path, whole[:1], RATE)
    elif kind == "no samples":
        soundfile.write(path, whole[:0], RATE)
    elif kind == "not a number":
        whole[1234] = np.nan
        soundfile.write(path, whole, RATE, subtype="FLOAT")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:9000])
    elif kind == "truncated flac":
        soundfile.write(path.with_suffix(".flac"), burst(4), RATE)
        path.write_bytes(path.with_suffix(".flac").read_bytes()[:20_000])
    elif kind == "text":
        path.write_text("not a sound at all\n" * 50)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "gone":
        path.unlink()
    elif kind == "hours":
        soundfile.write(path, np.zeros(1000 * 130, np.int16), 1000)
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("one sample", "too short: 1 samples"),
        ("no samples", "holds no samples"),
        ("silence", "silent: every sample is zero"),
        ("not a number", "sample 1234 is no number that a sound can have"),
        ("truncated", "truncated: its header promises 32000 bytes"),
        ("truncated flac", "truncated or damaged: copy it again"),
        ("text", "not a sound that libsndfile reads"),
        ("empty", "empty"),
        ("gone", "no such file"),
        ("hours", "too long for one picture"),
    ],
)
def test_what_cannot_be_heard_is_named_with_its_reason(tmp_path, kind, reason):
    path = bad(tmp_path, kind)
    with pytest.raises(ConversionError, match=reason) as caught:
        Sound()(path)
    assert caught.value.source == str(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"part": "end"}, "part 'end'; choose from centre, start, loudest"),
        ({"mels": 2.5}, "mels 2.5; expected a whole number from 4 to 512"),
        ({"fmax": 9000}, "fmax 9000; expected a number from 1 to 8000"),
        ({"duration": 0.001}, "shorter than one hop"),
        ({"duration": "1"}, "duration '1'; expected a number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ToolkitError, match=message):
        Sound(**settings)


def test_hearing_does_not_load_librosa_or_scipy_signal():
    code = "import sys, toolkit.converters.sound; print({'librosa', 'scipy.signal'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_power_of_nothing_is_nothing():
    assert mel_power(np.zeros(100, np.float32), 8000, fft=256, hop=64, mels=40, fmin=0, fmax=4000).max() == 0
