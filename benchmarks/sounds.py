"""Sound classification beside plain fastai and MFCC statistics with an SVM: `python -m benchmarks.sounds`.

Needs `sounds_fsdd/{digit}_{speaker}_{index}.wav` below --data: the Free Spoken Digit Dataset
(https://github.com/Jakobovski/free-spoken-digit-dataset). Two protocols: official (index 0 to 4 is the test) and new speaker
(each of the six speakers left out in turn).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks import plain_fastai
from benchmarks.harness import Figure, options, report
from recipes.sound_classification import build_learner
from toolkit.evaluation import evaluate
from toolkit.evaluation.images.scores import predictions
from toolkit.export import export
from toolkit.learning.fitting import fit


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    figures: list[Figure] = []
    data = chosen.data / "sounds_fsdd"
    if data.is_dir():
        table = clips(data)
        features = mfcc_statistics(table.file)
        with tempfile.TemporaryDirectory() as folder:
            official(figures, table, features, Path(folder), chosen.short)
            new_speaker(figures, table, features, Path(folder), chosen.short)
    else:
        print(f"left out: no {data} (see --help)")
    return report(figures, chosen)


def clips(data: Path) -> pd.DataFrame:
    """One row a recording: file, label, speaker, index."""
    files = sorted(data.glob("*.wav"))
    parts = [file.stem.split("_") for file in files]
    return pd.DataFrame(
        {"file": [str(file) for file in files], "label": [p[0] for p in parts], "speaker": [p[1] for p in parts],
         "index": [int(p[2]) for p in parts]}
    )  # fmt: skip


def trained(table: pd.DataFrame, test: pd.Series, folder: Path, short: bool, seed: int = 0):
    """The recipe as it comes, on a split that is given: the learner, its scores, seconds of reading and training."""
    table = table.assign(split=np.where(test, "test", "train"))
    table.to_csv(folder / "clips.csv", index=False)
    began = time.perf_counter()
    learn = build_learner(folder / "clips.csv", seed=seed, cache="none")
    fit(learn, epochs=1 if short else 0)
    seconds = time.perf_counter() - began
    return learn, evaluate(learn), seconds


def official(figures: list[Figure], table: pd.DataFrame, features: np.ndarray, folder: Path, short: bool) -> None:
    """Index 0 to 4 is the test: accuracy of three seeds, seconds."""
    test = table["index"] < 5
    plain, plain_seconds = plain_pictures(table, test, folder / "plain", 1 if short else 8)
    found, seconds = [], []
    for seed in [0] if short else [0, 1, 2]:
        learn, scores, took = trained(table, test, folder, short, seed)
        found.append(scores.table["network"]["accuracy"].value)
        seconds.append(took)
    mean, each = statistics.mean(found), ", ".join(f"{value:.4f}" for value in found)
    svm = mfcc_and_svm(features, table.label.to_numpy(), test.to_numpy())
    figures += [
        Figure("official: test accuracy, mean of seeds 0, 1, 2", [mean], [svm], target="at least 0.997",
               reached=None if short else mean >= 0.997, note=f"peer: MFCC statistics + SVM; each: {each}"),
        Figure("official: test accuracy", [mean], [plain], note="peer: plain fastai, resnet18, 8 epochs"),
        Figure("official: seconds, from files to a trained network", seconds, [plain_seconds] * len(seconds), "s", True,
               target="no more than the peer", reached=None if short else statistics.median(seconds) <= plain_seconds,
               note="peer: plain fastai's training alone"),
    ]  # fmt: skip
    program = export(learn, folder / "digits.pyz", scores=scores)
    expected, _ = predictions(learn, learn.dls[2])
    found = program.run(np.stack([program.input.prepare(path) for path in learn.dls[2].dataset.items]))
    apart = float(np.abs(found - expected).max())
    figures.append(Figure("official: program and learner apart", [apart], target="1e-4", reached=apart <= 1e-4))


def new_speaker(figures: list[Figure], table: pd.DataFrame, features: np.ndarray, folder: Path, short: bool) -> None:
    """Each speaker left out in turn: nothing of the test's voice is known."""
    speakers = sorted(table.speaker.unique())[: 1 if short else None]
    ours, svm, seconds = [], [], []
    for speaker in speakers:
        test = table.speaker == speaker
        _, scores, took = trained(table, test, folder, short)
        ours.append(scores.table["network"]["accuracy"].value)
        svm.append(mfcc_and_svm(features, table.label.to_numpy(), test.to_numpy()))
        seconds.append(took)
        figures.append(Figure(f"new speaker {speaker}: test accuracy", [ours[-1]], [svm[-1]], note="peer: MFCC statistics + SVM"))
    mean, worst = statistics.mean(ours), min(ours)
    figures += [
        Figure("new speaker: mean of six", [mean], [statistics.mean(svm)], target="at least 0.90 (aim 0.92)",
               reached=None if short else mean >= 0.90, note=f"{statistics.median(seconds):.0f} s each"),
        Figure("new speaker: worst of six", [worst], [min(svm)], target="at least 0.78 (aim 0.85)",
               reached=None if short else worst >= 0.78),
    ]  # fmt: skip


def mfcc_statistics(files: pd.Series) -> np.ndarray:
    """The simple method's features, as a careful engineer writes them with librosa: float (clips, 60)."""
    rows = []
    for file in files:
        samples, rate = librosa.load(file, sr=8000)
        found = librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=20, n_fft=512, hop_length=128)
        steps = np.diff(found, axis=1) if found.shape[1] > 1 else found * 0
        rows.append(np.r_[found.mean(1), found.std(1), steps.std(1)])
    return np.array(rows)


def mfcc_and_svm(features: np.ndarray, labels: np.ndarray, test: np.ndarray) -> float:
    """Test accuracy of a support vector machine on those features."""
    return make_pipeline(StandardScaler(), SVC(C=10)).fit(features[~test], labels[~test]).score(features[test], labels[test])


def plain_pictures(table: pd.DataFrame, test: pd.Series, folder: Path, epochs: int) -> tuple[float, float]:
    """Plain fastai on librosa's mel spectrograms as PNG files of 64x64: test accuracy and seconds of training."""
    from PIL import Image

    for file, label, held_out in zip(table.file, table.label, test, strict=True):
        samples, rate = librosa.load(file, sr=8000)
        power = librosa.feature.melspectrogram(y=samples, sr=rate, n_mels=64, n_fft=512, hop_length=128)
        levels = librosa.power_to_db(power, ref=np.max)
        path = folder / ("test" if held_out else "train") / label / f"{Path(file).stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(((levels + 80) / 80 * 255).clip(0, 255).astype(np.uint8)).convert("RGB").resize((64, 64)).save(path)
    learn = plain_fastai.build(folder / "train", augment=False)
    seconds = plain_fastai.train(learn, epochs)
    return float(plain_fastai.test_hits(learn, folder / "test").mean()), seconds


if __name__ == "__main__":
    raise SystemExit(main())
