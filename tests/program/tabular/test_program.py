"""A program of tables equals its learner, answers whatever row it is given, and needs numpy and onnxruntime alone."""

import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from helpers.programs import forged, rewritten
from helpers.tabular_samples import USUAL, exported, made

from toolkit.errors import ConversionError, ExportError, ProgramError
from toolkit.evaluation.tabular.scores import tabular_answers
from toolkit.export import export
from toolkit.learning.tabular.boosted_trees import Trees
from toolkit.program import load
from toolkit.program.outputs import Estimate
from toolkit.program.tabular.inputs import TabularInput
from toolkit.program.tabular.program import TabularProgram
from toolkit.program.tabular.selftest import selftest

pytest_plugins = ["helpers.tabular_runs"]

ODD = [
    {},
    {"age": None, "town": None},
    {"age": "41", "weight": " 70 ", "member": "YES", "joined": "soon"},
    {"age": 10**9, "weight": float("-inf"), "town": "Atlantis", "joined": "1066-10-14"},
    {"hat": "red", "age": [1], "member": True, "town": 5},
]


@pytest.fixture(scope="module")
def program(planner):
    return load(planner.path)


@pytest.fixture(scope="module")
def estimator(spender):
    return load(spender.path)


def rows_of(frame):
    """The rows as dicts, a missing cell as None."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def blended(learn, rows, target):
    """What the learner and its trees say together."""
    frame = pd.DataFrame([{**USUAL, **row} for row in rows])
    network, _ = learn.get_preds(dl=learn.dls.test_dl(frame))
    prepared = learn.dls.labelled.tabular_input.prepare(frame)
    return 0.6 * network.numpy() + 0.4 * learn.trees.predict(prepared.codes, prepared.numbers)


def in_order(program, answer):
    """The answer as the model gave it."""
    if isinstance(answer, Estimate):
        return [answer.value]
    return [answer.probabilities[name] for name in program.output.classes]


def test_a_row_is_answered_with_notes_on_what_is_odd_about_it(program):
    ordinary = program.predict(USUAL)
    assert ordinary.notes == ()
    assert ordinary.label in ("basic", "plus", "top")
    assert sum(ordinary.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert list(ordinary.probabilities.values()) == sorted(ordinary.probabilities.values(), reverse=True)
    odd = program.predict({**USUAL, "town": "Atlantis", "age": 400})
    assert odd.notes == (
        "age: 400 lies far outside 18 to 79, the range in training: taken as 109.5",
        "town: 'Atlantis' is none of the 3 categories that were learnt",
    )


@pytest.mark.parametrize("kind", ["planner", "spender"])
def test_program_and_learner_agree_on_held_out_and_on_odd_rows(kind, request):
    run = request.getfixturevalue(kind)
    program, labelled = load(run.path), run.learn.dls.labelled
    held_out = rows_of(labelled.frame.iloc[labelled.rows_of("test")][list(USUAL)])
    rows = [*held_out, *({**USUAL, **odd} for odd in ODD)]
    expected = blended(run.learn, rows, labelled.target.name)
    spread = 1 if labelled.classes else float(labelled.targets.std())
    for row, wanted in zip(rows, expected, strict=True):
        assert in_order(program, program.predict(row)) == pytest.approx(wanted.tolist(), abs=1e-4 * spread)


def test_one_row_is_answered_as_learn_predict_does(planner, program):
    row = planner.learn.dls.labelled.frame.iloc[7]
    _, _, network = planner.learn.predict(row)
    prepared = program.input.prepare_row(row)
    assert program.run_network(prepared.codes, prepared.numbers)[0] == pytest.approx(network.numpy(), abs=1e-4)


@pytest.mark.parametrize("kind", ["program", "estimator"])
def test_rows_are_answered_alike_one_by_one_in_bulk_and_as_a_frame(kind, request):
    program = request.getfixturevalue(kind)
    frame = pd.concat([made(40, seed=5), pd.DataFrame([{**USUAL, **odd} for odd in ODD])], ignore_index=True)[list(USUAL)]
    single = [program.predict(row) for row in rows_of(frame)]
    for others in (program.predict_many(rows_of(frame), batch_size=7), program.predict_many(frame, batch_size=7)):
        for one, other in zip(single, others, strict=True):
            assert in_order(program, other) == pytest.approx(in_order(program, one), rel=1e-5, abs=1e-6)
            assert other.notes == one.notes


def test_frames_of_any_dtype_are_one_table(program):
    frame = made(20, seed=3)
    wanted = [answer.probabilities for answer in program.predict_many(frame)]
    others = (
        frame.convert_dtypes(),
        frame.convert_dtypes(dtype_backend="pyarrow"),
        frame.astype({"town": "category", "member": "category", "age": "float32"}),
        frame.assign(joined=pd.to_datetime(frame.joined)),
        frame.set_index(pd.Index(range(100, 120))),
    )
    for other in others:
        answers = list(program.predict_many(other))
        assert [answer.probabilities for answer in answers] == wanted
        assert not any(answer.notes for answer in answers)
    assert list(program.predict_many(frame.head(0))) == []


def test_any_number_of_rows_streams_and_what_is_no_row_stops_nothing(program):
    def endless():
        while True:
            yield from (USUAL, 5, {"hat": 1}, {**USUAL, "age": 20})

    stream = program.predict_many(endless(), batch_size=8)
    results = [next(stream) for _ in range(12)]
    assert [isinstance(result, ConversionError) for result in results] == [False, True, True, False] * 3
    assert list(program.predict_many([])) == []
    assert isinstance(next(program.predict_many([None])), ConversionError)
    with pytest.raises(ConversionError, match="int: expected one row: a mapping of column names to cells, such as a dict"):
        list(program.predict_many([USUAL, 5], strict=True))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (5, "int: expected one row: a mapping"),
        ("age", "str: expected one row: a mapping"),
        (None, "NoneType: expected one row: a mapping"),
        ([40, "York"], "list: expected one row: a mapping"),
        (made(2), "DataFrame: expected one row: .*; predict_many takes tables"),
        ({"hat": 1}, r"none of its columns \(hat\) is one that was learnt from \(age, weight, town, member, joined\)"),
    ],
)
def test_what_is_no_row_is_told(program, item, message):
    with pytest.raises(ConversionError, match=message):
        program.predict(item)


def test_a_frame_that_cannot_be_read_is_told(program):
    frame = made(3)
    with pytest.raises(ConversionError, match="the table: two of its columns are called 'age': rename one"):
        list(program.predict_many(pd.concat([frame, frame[["age"]]], axis=1)))
    with pytest.raises(ConversionError, match="none of its columns"):
        list(program.predict_many(frame[["spent"]]))
    assert all(isinstance(each, ConversionError) for each in program.predict_many(frame.age))


def test_threads_share_a_program(program):
    rows = rows_of(made(60, seed=9))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(program.predict, rows)) == [program.predict(row) for row in rows]


def test_reasons_sum_to_the_difference_from_a_typical_row(estimator):
    row = {**USUAL, "age": 75}
    reasons = estimator.why(row)
    typical = estimator.input.typical()
    moved = estimator.predict(row).value - estimator.run(typical.codes, typical.numbers)[0, 0]
    assert sum(reason.moved for reason in reasons) == pytest.approx(moved, rel=1e-4)
    assert reasons[0].column == "age"


def test_the_schema_is_met_by_rows_without_notes_and_only_by_them(planner, program):
    schema = program.card["schema"]

    def fits(row):
        for name in schema["required"]:
            cell, asked = row.get(name), schema["properties"][name]
            kinds = {str: "string", int: "number", float: "number", type(None): "null"}
            types = asked.get("type", kinds[type(cell)])
            if kinds[type(cell)] not in types or cell not in asked.get("enum", [cell]):
                return False
            if kinds[type(cell)] == "number" and not asked["minimum"] <= cell <= asked["maximum"]:
                return False
        return True

    labelled = planner.learn.dls.labelled
    train = rows_of(made().iloc[labelled.rows_of("train")][list(USUAL)])
    assert all(fits(row) and not program.predict(row).notes for row in train)
    for odd in ({"age": 200}, {"age": None}, {"age": "40"}, {"town": "Atlantis"}, {"member": None}, {"joined": None}):
        row = {**USUAL, **odd}
        assert program.predict(row).notes
        assert not fits(row)


def test_a_blend_is_two_graphs_and_no_pickle(planner):
    with zipfile.ZipFile(planner.path) as archive:
        names = archive.namelist()
        code = b"".join(archive.read(name) for name in names if name.endswith(".py"))
    assert {"model.onnx", "trees.onnx", "program.json"} <= set(names)
    assert {name.split(".")[-1] for name in names} == {"py", "onnx", "json"}
    assert not any(word in code for word in (b"import torch", b"import pickle", b"import pandas\n", b"import lightgbm"))


@pytest.mark.parametrize(("share", "members"), [(0.0, {"model.onnx"}), (1.0, {"model.onnx", "trees.onnx"})])
def test_a_blend_may_turn_out_to_be_one_of_the_two(spender, tmp_path, monkeypatch, share, members):
    monkeypatch.setattr(spender.learn.trees, "weight", share)
    program = export(spender.learn, tmp_path / "program.pyz")
    assert set(program.card["sha256"]) == members
    prepared = program.input.prepare(made(20))
    alone = program.run_trees if share else program.run_network
    assert np.allclose(program.run(prepared.codes, prepared.numbers), alone(prepared.codes, prepared.numbers))
    assert selftest(program) == []


@pytest.mark.parametrize(
    ("columns", "target"), [(["town", "member"], "plan"), (["age"], "plan"), (["joined"], "spent"), (["town"], "spent")]
)
def test_tables_of_one_kind_of_column_become_programs_too(tmp_path, columns, target):
    run = exported(tmp_path, made(120)[[*columns, target]], target=target, batch_size=32)
    program = load(run.path)
    assert list(program.input.names) == columns
    assert program.predict({name: USUAL[name] for name in columns}).notes == ()
    assert program.predict({columns[0]: None, "hat": 1}).notes
    assert selftest(program) == []


def test_columns_of_any_name(tmp_path):
    names = {"age": 'größe, "cm"', "town": "ns\n2", "member": "codes", "weight": "output"}
    frame = made(120)[["age", "town", "member", "weight", "plan"]].rename(columns=names)
    program = load(exported(tmp_path, frame, target="plan", share=0, batch_size=32).path)
    assert program.predict(rows_of(frame)[0]).notes == ()
    assert selftest(program) == []


def test_export_refuses_trees_that_differ_and_leaves_the_old_file(planner, tmp_path, monkeypatch):
    path = tmp_path / "program.pyz"
    path.write_bytes(b"as it was")
    trees, held_out = Trees.predict, tabular_answers(planner.learn)
    for name, other in (
        ("toolkit.learning.tabular.boosted_trees.Trees.predict", lambda self, codes, numbers: trees(self, codes, -numbers)),
        ("toolkit.export.tabular.export.tabular_answers", lambda learn: {**held_out, "trees": held_out["trees"] + 0.001}),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(name, other)
            with pytest.raises(ExportError, match="the program's trees would be .* off the learner's for a row"):
                export(planner.learn, path)
    assert path.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_export_refuses_a_network_that_differs(spender, tmp_path, monkeypatch):
    def other(model):
        with __import__("torch").no_grad():
            next(model.parameters()).mul_(1.1)
        return model

    monkeypatch.setattr("toolkit.export.tabular.export.deployed", other)
    with pytest.raises(ExportError, match="the program's network would be .* off the learner's for a row"):
        export(spender.learn, tmp_path / "program.pyz")
    assert list(tmp_path.iterdir()) == []


def test_export_refuses_another_reading_of_single_rows(planner, tmp_path, monkeypatch):
    read = TabularInput.prepare_row
    monkeypatch.setattr(TabularInput, "prepare_row", lambda self, row: read(self, {**row, "age": 33}))
    with pytest.raises(ExportError, match="row .*: read by itself it is another row than among others"):
        export(planner.learn, tmp_path / "program.pyz")


def test_golden_rows_are_answered_as_at_export(program, estimator):
    for each in (program, estimator):
        assert len(each.card["golden"]) == 3
        assert selftest(each) == []


def test_the_self_test_finds_other_answers_and_another_reading(planner, spender, tmp_path, monkeypatch):
    def answer(card):
        card["golden"][1]["output"][0] += 0.001

    def cells(card):
        card["golden"][2]["row"]["age"] = "19"

    def median(card):
        card["input"]["columns"][0]["mean"] += 0.1

    def value(card):
        card["golden"][0]["output"][0] *= 1.01

    problems = selftest(load(forged(planner.path, tmp_path / "a.pyz", answer)))
    assert len(problems) == 1
    assert problems[0].startswith("row 2: the model answers [")
    wrong = "read as other codes or numbers than at export"
    assert selftest(load(forged(planner.path, tmp_path / "c.pyz", cells))) == [f"row 3: {wrong}"]
    assert selftest(load(forged(planner.path, tmp_path / "m.pyz", median))) == [f"row {row}: {wrong}" for row in (1, 2, 3)]
    assert len(selftest(load(forged(spender.path, tmp_path / "v.pyz", value)))) == 1
    monkeypatch.setattr(TabularProgram, "run", lambda self, codes, numbers: np.full((len(codes), 3), np.nan))
    assert len(selftest(load(planner.path))) == 3


def test_altered_cards_and_members_are_told(planner, tmp_path):
    def swap(member, data):
        return rewritten(planner.path, tmp_path / "x.pyz", lambda name, old: data if name == member else old)

    with pytest.raises(ProgramError, match="trees.onnx inside it was altered"):
        load(swap("trees.onnx", b"another"))
    with pytest.raises(ProgramError, match=r"no trees\.onnx"):
        load(swap("trees.onnx", None))
    for change, message in (
        (lambda card: card["input"].pop("columns"), "program.json lacks or garbles 'columns'"),
        (lambda card: card["input"]["columns"].pop(), "its program.json says"),
        (lambda card: card["input"]["columns"][0].update(kind="colour"), "lacks or garbles 'colour'"),
        (lambda card: card["output"]["classes"].pop(), "its program.json says"),
        (lambda card: card["output"].update(kind="mask"), "lacks or garbles 'mask'"),
    ):
        with pytest.raises(ProgramError, match=message):
            load(forged(planner.path, tmp_path / "forged.pyz", change))


def test_a_program_of_tables_loads_nothing_but_numpy_and_onnxruntime(planner, tmp_path):
    code = """
import sys
for name in ("PIL", "pandas", "torch", "fastai", "sklearn", "lightgbm", "scipy", "onnx"):
    sys.modules[name] = None  # as where it is not installed
import runpy
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("status", end.code)
"""
    row = json.dumps(USUAL)
    arguments = [sys.executable, "-c", code, str(planner.path), "--row", row, "--why"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "status 0"
    assert done.stderr == ""
