"""The harness of the benchmarks: ratios pair by pair, a table, JSON, and a status."""

import argparse
import json

from benchmarks.harness import Figure, in_turn, report


def chosen(tmp_path, check):
    return argparse.Namespace(json=tmp_path / "figures.json", check=check, short=False)


def test_ratios_are_taken_pair_by_pair():
    faster = Figure("time", [1, 2, 1], [3, 4, 5], lower_is_better=True)
    assert faster.ratios == [3, 2, 5]
    assert faster.ratio == 3
    assert Figure("accuracy", [0.75], [0.5]).ratios == [0.25]


def test_calls_are_timed_in_turn_after_a_warm_up():
    order = []
    ours, peer = in_turn(lambda: order.append("a"), lambda: order.append("b"), rounds=2)
    assert order == ["a", "b"] * 3
    assert len(ours) == len(peer) == 2


def test_a_missed_target_fails_only_where_it_is_checked(tmp_path, capsys):
    figures = [Figure("one", [1.0], [2.0], "s", True, "twice", True), Figure("two", [0.1], target="0.2", reached=False)]
    assert report(figures, chosen(tmp_path, check=False)) == 0
    assert report(figures, chosen(tmp_path, check=True)) == 1
    assert report(figures[:1], chosen(tmp_path, check=True)) == 0
    assert "MISSED" in capsys.readouterr().out
    assert json.loads((tmp_path / "figures.json").read_text())["figures"][0]["ratios"] == [2.0]
