"""From pairs to labelled pictures that are split: what was found stays as it was found."""

import numpy as np
from helpers.segmentation_samples import draw_labelled, make_labelled

from toolkit.data.segmentation.class_mapping import read_class_mapping
from toolkit.data.segmentation.labelled import labelled_segmentation
from toolkit.data.segmentation.pairs import find_pairs


def test_pairs_never_change_and_give_the_same_data_twice(tmp_path):
    folder = make_labelled(tmp_path / "scenes")
    (folder / "images" / "broken.png").write_bytes(b"no picture")
    draw_labelled(1)[1].save(folder / "masks" / "broken.png")
    pairs = find_pairs(folder)
    class_mapping = read_class_mapping(pairs.table["mask"].tolist(), folder / "codes.txt")
    table, rejected, notes = pairs.table.copy(), list(pairs.rejected), list(pairs.notes)
    first, second = (labelled_segmentation(pairs, class_mapping) for _ in range(2))
    assert pairs.table.equals(table)
    assert (pairs.rejected, pairs.notes) == (rejected, notes)
    assert len(first.rejected) == len(rejected) + 1
    assert first.table.equals(second.table)
    assert np.array_equal(first.counts, second.counts)
    for one, other, row in zip(first.pairs, second.pairs, range(len(first.table)), strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
        assert np.bincount(one[1].ravel(), minlength=256)[: len(first.classes)].tolist() == first.counts[row].tolist()
        assert first.truth(row).any()
