"""A program that recommends: known and new people, reasons, notes, and files that were altered; it needs numpy alone."""

import io
import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from rating_samples import IDS, TITLES, USERS, made_taste, samples, write_recommender, write_sample

from toolkit.errors import ConversionError, ProgramError
from toolkit.program import load
from toolkit.program.outputs import Estimate
from toolkit.program.recommendations import Recommendations, Standing, best
from toolkit.program.recommender import Recommender
from toolkit.program.recommender_file import members_of
from toolkit.program.recommender_selftest import selftest
from toolkit.program.taste import Taste


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return samples(tmp_path_factory.mktemp("recommenders"))


@pytest.fixture(scope="module")
def ranker(paths):
    return load(paths.ranker)


@pytest.fixture(scope="module")
def rater(paths):
    return load(paths.rater)


def titles_of(answer):
    return [each.title for each in answer]


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["ranker", "rater"])
def test_a_newcomers_likes_are_answered_with_reasons(kind, request):
    program = request.getfixturevalue(kind)
    answer = program.recommend(likes=["Demon Slayer", "Chainsaw Man"], n=3)
    assert isinstance(program, Recommender)
    assert isinstance(answer, Recommendations)
    assert answer[0].title == "Hell's Paradise"
    assert answer[0].item == "102"
    assert answer[0].reason == "because you like Demon Slayer: Kimetsu no Yaiba and Chainsaw Man"
    assert set(titles_of(answer)) == {"Hell's Paradise", "Jujutsu Kaisen", "Dorohedoro"}
    assert answer.notes == ("'Demon Slayer' is taken for 'Demon Slayer: Kimetsu no Yaiba'",)
    assert [each.score for each in answer] == sorted((each.score for each in answer), reverse=True)


def test_scores_are_those_of_the_taste_and_ratings_stay_in_their_range(ranker, rater):
    for program, bound in ((ranker, np.inf), (rater, 5.0)):
        vector = program.taste.solve(np.array([0, 1]))
        expected = np.minimum(program.taste.scores(vector), bound)
        for each in program.recommend(likes=[100, 101], n=13):
            assert each.score == pytest.approx(expected[IDS.index(each.item)], abs=1e-6)
    assert rater.recommend(likes=dict.fromkeys(TITLES[:4], 5), n=1)[0].score <= 5


def test_a_known_user_is_shown_nothing_seen_and_told_why(ranker, rater):
    for program in (ranker, rater):
        answer = program.recommend(user="u0", n=99)
        assert not {"100", "101", "102", "109"} & {each.item for each in answer}
        assert set(titles_of(answer)[:2]) == {"Jujutsu Kaisen", "Dorohedoro"}
        assert answer[0].reason.startswith("because you like ")
        assert "夏目友人帳" not in " ".join(each.reason for each in answer)  # which they do not care for
        assert answer.notes == ("99 were asked for, 11 of the 15 items are left",)


def test_what_is_rated_badly_is_no_reason(rater):
    answer = rater.recommend(likes={"Demon Slayer": 1, "Chainsaw Man": 1, "K-On!": 5}, n=12)
    assert titles_of(answer)[0] in TITLES[6:10]
    assert all("Demon Slayer" not in each.reason and "Chainsaw" not in each.reason for each in answer)
    hater = rater.recommend(likes={"Demon Slayer": 1}, n=3)
    assert all(each.reason.startswith("well liked in general: ") for each in hater)


def test_likes_may_be_given_in_many_forms(ranker):
    expected = ranker.recommend(likes=["Chainsaw Man", "Dorohedoro"]).chosen
    for likes in (
        ("chainsaw man", "DOROHEDORO"),
        [101, 104],
        ["101", 104.0],
        np.array([101, 104]),
        np.array(["Chainsaw Man", "Dorohedoro"]),
        pd.Series([101, 104]),
        (each for each in ("101", "104")),
        dict.fromkeys(["Chainsaw Man", "Dorohedoro"]).keys(),
    ):
        assert ranker.recommend(likes=likes).chosen == expected
    assert ranker.recommend(likes="Chainsaw Man").chosen == ranker.recommend(likes=[101]).chosen


def test_likes_that_are_named_twice_count_once(ranker, rater):
    answer = ranker.recommend(likes=["Chainsaw Man", "chainsaw man", 101])
    assert answer.chosen == ranker.recommend(likes=["Chainsaw Man"]).chosen
    assert answer.notes == ("'Chainsaw Man' is named more than once: it counts once",) * 2
    last = rater.recommend(likes={"Chainsaw Man": 1, 101: 5})
    assert last.chosen == rater.recommend(likes={"Chainsaw Man": 5.0}).chosen
    assert last.notes == ("'Chainsaw Man' is named more than once: it counts once, the last rating (5) stands",)


def test_no_likes_are_answered_by_popularity_and_say_so(ranker, rater):
    for program in (ranker, rater):
        for likes in ([], ()) if program is ranker else ([], {}):
            answer = program.recommend(likes=likes, n=9)
            assert answer.notes == ("no likes: what most people chose",)
            assert {each.reason for each in answer} == {"popular: chosen by 10 of 30 people"}
            assert titles_of(answer) == titles_of(program.recommend(likes=[], n=15))[:9]


def test_unknown_likes_are_set_aside_with_suggestions(ranker):
    answer = ranker.recommend(likes=["Chainsaw Man", "godfather part 9", "xyzzy"], n=2)
    assert answer.chosen == ranker.recommend(likes=["Chainsaw Man"], n=2).chosen
    assert "'godfather part 9': none of the 15 titles and ids that are known (did you mean " in answer.notes[0]
    assert answer.notes[1] == "'xyzzy': none of the 15 titles and ids that are known: set aside"
    with pytest.raises(ConversionError, match=r"likes: 'xyzzy': none of the 15 titles .*; 'godfather 9': .*did you mean"):
        ranker.recommend(likes=["xyzzy", "godfather 9"])
    with pytest.raises(ConversionError, match="'xyzzy': none of the 15"):
        ranker.recommend(likes=["Chainsaw Man", "xyzzy"], strict=True)
    with pytest.raises(ConversionError, match=r"'Chainsow Man': not surely one item \(did you mean 'Chainsaw Man'\?\)"):
        ranker.recommend(likes=["Chainsow Man"], strict=True)
    assert ranker.recommend(likes=["chainsaw man"], strict=True).notes == ()


@pytest.mark.parametrize("like", ["", "  ", "x" * 100_000, "🎬", "\x00", "\ud800", "-1", 10**30, -5, 1.5])
def test_odd_likes_are_unknown_ones(ranker, like):
    with pytest.raises(ConversionError, match="none of the 15 titles and ids that are known"):
        ranker.recommend(likes=[like])


@pytest.mark.parametrize("like", [None, float("nan"), True, ["Chainsaw Man"], {"a": 1}, b"Chainsaw Man", object()])
def test_what_is_no_title_is_told(ranker, like):
    with pytest.raises(ConversionError, match="expected the title or the id of an item"):
        ranker.recommend(likes=[like])


@pytest.mark.parametrize("likes", [b"Chainsaw Man", object()])
def test_what_is_no_list_of_likes_is_told(ranker, likes):
    with pytest.raises(ConversionError, match="expected a list of titles or ids of items"):
        ranker.recommend(likes=likes)


@pytest.mark.parametrize("rating", [0.5, 6, -1, float("nan"), float("inf"), "good", "", True, [4]])
def test_ratings_out_of_range_are_told(rater, rating):
    with pytest.raises(ConversionError, match=r"likes: 'Chainsaw Man': rated .*: expected a number, 1 to 5"):
        rater.recommend(likes={"Chainsaw Man": rating})


def test_ratings_may_be_any_number(rater):
    expected = rater.recommend(likes={"Chainsaw Man": 4}).chosen
    for rating in ("4", 4.0, np.float32(4), np.int64(4), "4.0"):
        assert rater.recommend(likes={"Chainsaw Man": rating}).chosen == expected
    assert rater.recommend(likes={"Chainsaw Man": None}).chosen == rater.recommend(likes={"Chainsaw Man": 5}).chosen


def test_a_program_that_ranks_takes_no_ratings(ranker):
    with pytest.raises(ConversionError, match="likes: this program learnt what people choose, not how they rate it: give a list"):
        ranker.recommend(likes={"Chainsaw Man": 5})


def test_unknown_users_are_never_answered_by_an_average(ranker, paths):
    for user, named in (("nobody", "'nobody'"), (7, "7"), ("", "''"), (["u1"], r"\['u1'\]"), (float("nan"), "nan")):
        for ask in (ranker.recommend, lambda user: ranker.predict(user, "K-On!")):
            with pytest.raises(ConversionError, match=f"user {named}: none of the 30 users that are known here: .*likes"):
                ask(user=user)
    private = load(paths.private)
    for ask in (
        lambda: private.recommend(user="u1"),
        lambda: list(private.recommend_many()),
        lambda: private.predict("u1", "100"),
    ):
        with pytest.raises(ConversionError, match=r"made without anybody's history \(--no-users\).*give likes instead"):
            ask()


def test_ids_that_are_numbers_are_one_id_however_they_are_typed(tmp_path):
    def renamed(members):
        members["users.json"] = json.dumps({"ids": [str(number) for number in range(USERS)]}).encode()

    program = load(write_sample(tmp_path / "numbers.pyz", change=renamed))
    assert program.recommend(user="3").chosen == program.recommend(user=3).chosen == program.recommend(user=np.float64(3)).chosen


def test_one_question_at_a_time(ranker):
    for arguments in ({}, {"user": "u1", "likes": ["K-On!"]}):
        with pytest.raises(ProgramError, match="name either a user or likes"):
            ranker.recommend(**arguments)
    with pytest.raises(ProgramError, match="predict: name an item"):
        ranker.predict("u1")
    for n in (0, -1, 1.5, True, "3", None):
        for ask in (lambda n: ranker.recommend(user="u1", n=n), lambda n: ranker.similar("K-On!", n), lambda n: next(
            ranker.recommend_many(n=n)
        )):  # fmt: skip
            with pytest.raises(ProgramError, match="n .*: expected a whole number from 1"):
                ask(n)


def test_what_is_excluded_is_not_shown(ranker):
    answer = ranker.recommend(likes=["Chainsaw Man"], n=3, exclude=["dorohedoro", 103, "xyzzy"])
    assert not {"103", "104"} & {each.item for each in answer}
    assert answer.notes == ("'xyzzy': none of the 15 titles and ids that are known: nothing is left out for it",)
    first, second = titles_of(ranker.recommend(likes=[], n=2))
    assert titles_of(ranker.recommend(likes=[], n=1, exclude=first)) == [second]
    with pytest.raises(ConversionError, match="xyzzy"):
        ranker.recommend(likes=["Chainsaw Man"], exclude=["xyzzy"], strict=True)


def test_who_has_seen_everything_is_shown_nothing(ranker):
    answer = ranker.recommend(likes=TITLES, n=5)
    assert (len(answer), answer.chosen) == (0, ())
    assert answer.notes == ("5 were asked for, none of the 15 items are left",)
    one = ranker.recommend(likes=TITLES[1:], n=5)
    assert titles_of(one) == TITLES[:1]
    assert one.notes == ("5 were asked for, 1 of the 15 items is left",)
    assert len(ranker.recommend(likes=TITLES[:5], exclude=TITLES[3:])) == 0


@pytest.mark.parametrize("kind", ["ranker", "rater"])
def test_everyone_is_answered_as_one_by_one(kind, request):
    program = request.getfixturevalue(kind)
    answers = dict(program.recommend_many(n=4, batch_size=7))
    assert list(answers) == [f"u{number}" for number in range(USERS)]
    for user, answer in answers.items():
        alone = program.recommend(user=user, n=4)
        assert titles_of(answer) == titles_of(alone)
        assert [each.reason for each in answer] == [each.reason for each in alone]
        assert [each.score for each in answer] == pytest.approx([each.score for each in alone], abs=1e-5)
    some = list(program.recommend_many(users=["u3", "nobody", "u1"], n=2))
    assert [user for user, _ in some] == ["u3", "nobody", "u1"]
    assert isinstance(some[1][1], ConversionError)
    with pytest.raises(ConversionError, match="nobody"):
        list(program.recommend_many(users=["u3", "nobody"], strict=True))
    assert list(program.recommend_many(users=[])) == []


def test_users_stream_without_end(ranker):
    def endless():
        while True:
            yield from ("u1", "u2")

    stream = ranker.recommend_many(users=endless(), batch_size=4)
    assert [next(stream)[0] for _ in range(10)] == ["u1", "u2"] * 5


def test_similar_items_point_the_same_way(ranker, rater):
    for program in (ranker, rater):
        answer = program.similar("chainsaw man", n=4)
        assert {each.item for each in answer} == {"100", "102", "103", "104"}
        assert all(0.9 < each.score <= 1.0001 for each in answer)
        assert len(program.similar("Chainsaw Man", n=99)) == 14
    assert ranker.similar("Chainsow Man").notes == ("'Chainsow Man' is taken for 'Chainsaw Man'",)
    with pytest.raises(ConversionError, match=r"'godfather 9': none of the 15 .*did you mean"):
        ranker.similar("godfather 9")


def test_an_item_of_which_nothing_was_learnt_is_like_none(tmp_path):
    taste = made_taste(False)
    taste.vectors[3] = 0
    program = load(write_recommender(tmp_path / "cold.pyz", taste, members_of(taste, IDS, TITLES, np.zeros(15))))
    assert "nothing was learnt about 'Jujutsu Kaisen'" in program.similar("Jujutsu Kaisen").notes[0]
    assert "103" not in {each.item for each in program.similar("Chainsaw Man", n=15)}


def test_a_rating_is_predicted_for_user_and_newcomer(rater):
    fond, cold = rater.predict("u0", "Jujutsu Kaisen"), rater.predict("u0", "K-On!")
    assert isinstance(fond, Estimate)
    assert 1 <= cold.value < fond.value <= 5
    assert rater.predict("u0", "Chainsaw Man").notes == ("'Chainsaw Man' is rated already: they gave it 4",)
    new = rater.predict(likes={"Chainsaw Man": 5, "夏目友人帳": 1}, item="Jujutsu Kaisen")
    assert new.value > rater.predict(likes={"Chainsaw Man": 1}, item="Jujutsu Kaisen").value
    assert rater.predict(likes={"Chainsaw Man": 4}, item=101).notes == ("'Chainsaw Man' is rated already: they gave it 4",)
    assert rater.predict(likes=["Chainsaw Man"], item=101).notes == ("'Chainsaw Man' is one of the likes",)
    nobody = rater.predict(likes=[], item="Jujutsu Kaisen")
    assert nobody.notes == ("no likes: what most people chose",)


def test_a_program_that_ranks_tells_where_an_item_stands(ranker):
    order = titles_of(ranker.recommend(user="u0", n=11))
    for rank in (1, 2, 11):
        found = ranker.predict("u0", order[rank - 1])
        assert isinstance(found, Standing)
        assert (found.rank, found.of, found.notes) == (rank, 11, ())
    seen = ranker.predict("u0", "Chainsaw Man")
    assert (seen.of, seen.notes) == (12, ("'Chainsaw Man' is seen already",))
    assert ranker.predict(likes=["Chainsaw Man"], item="Dorohedoro").rank <= 4
    with pytest.raises(ConversionError, match="none of the 15 titles"):
        ranker.predict("u0", "xyzzy")


def test_items_without_titles_are_named_by_ids(paths):
    bare = load(paths.bare)
    answer = bare.recommend(likes=["100", 101], n=1)
    assert answer[0].title == answer[0].item
    assert answer[0].reason in ("because you like 100 and 101", "because you like 101 and 100")
    with pytest.raises(ConversionError, match="none of the 15"):
        bare.recommend(likes=["Chainsaw Man"])
    with pytest.raises(ConversionError, match="none of the 15"):
        bare.recommend(likes=["110x"])


def test_users_of_whom_nothing_is_known_are_told_so(tmp_path):
    def emptied(members):
        members["seen_starts.npy"] = npy(np.zeros(USERS + 1, dtype=np.int64))
        members["seen_items.npy"], members["seen_values.npy"] = npy(np.zeros(0, np.int32)), npy(np.zeros(0, np.float32))

    answer = load(write_sample(tmp_path / "empty.pyz", change=emptied)).recommend(user="u0", n=3)
    assert answer.notes == ("nothing is known of user 'u0': what follows is what anyone would get",)
    assert all(each.reason.startswith("popular: chosen by ") for each in answer)


def test_equal_scores_are_ordered_by_popularity_and_nothing_barred_is_chosen():
    scores, ties = np.array([1.0, 2.0, 1.0, -np.inf, 1.0], dtype=np.float32), np.array([5, 0, 7, 99, 7])
    assert best(scores, 3, ties).tolist() == [1, 2, 4]
    assert best(scores, 99, ties).tolist() == [1, 2, 4, 0]
    assert best(np.full(3, -np.inf), 2, ties[:3]).tolist() == []


def test_threads_share_a_program(ranker):
    asked = [f"u{number % USERS}" for number in range(200)]
    fresh = load(ranker.archive.path)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda user: (fresh.recommend(user=user), fresh.similar("chainsow man")), asked))
    assert [answer for answer, _ in found] == [ranker.recommend(user=user) for user in asked]


def test_golden_likes_are_answered_as_at_export(paths, tmp_path):
    for path in (paths.ranker, paths.rater, paths.private, paths.bare):
        program = load(path)
        assert len(program.card["golden"]) == 2
        assert selftest(program) == []

    def bent(members):
        members["offset.npy"] = npy(np.linspace(0, 1, 15, dtype=np.float32))

    problems = selftest(load(write_sample(tmp_path / "bent.pyz", change=bent)))
    assert len(problems) == 2
    assert problems[0].startswith("likes 1: the scores are [")

    def lost(members):
        members["title_keys.npy"] = npy(np.arange(15, dtype=np.uint64))
        members["part_keys.npy"], members["part_items.npy"] = npy(np.zeros(0, np.uint64)), npy(np.zeros(0, np.int32))

    assert any("is not found by its title" in each for each in selftest(load(write_sample(tmp_path / "lost.pyz", change=lost))))


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("vectors.npy", npy(np.zeros((14, 4), np.float32)), r"vectors.npy is float32 \(14, 4\), expected float32 15 x n"),
        ("vectors.npy", npy(np.zeros((15, 5), np.float32)), r"prior.npy is float64 \(4, 4\), expected float64 5 x 5"),
        ("vectors.npy", npy(np.zeros((15, 4))), "vectors.npy is float64"),
        ("vectors.npy", npy(np.asfortranarray(np.ones((15, 4), np.float32))), "vectors.npy is no array"),
        ("vectors.npy", npy(np.full((15, 4), np.nan, np.float32)), "vectors.npy has numbers that are not finite"),
        ("vectors.npy", npy(np.zeros((15, 4), np.float32))[:-1], "vectors.npy is float32"),
        ("vectors.npy", npy(np.array([None] * 15)), "vectors.npy is no array"),
        ("vectors.npy", b"", "vectors.npy is no array"),
        ("vectors.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"[" * 70_000, "vectors.npy is no array"),
        ("prior.npy", npy(np.zeros((4, 4))), "prior.npy is no precision"),
        ("items.json", b"[" * 100_000, "items.json cannot be read"),
        ("popularity.npy", npy(np.zeros(15, np.int32)), "popularity.npy is int32"),
        ("title_items.npy", npy(np.full(15, 15, np.int32)), "title_items leads out of the catalogue"),
        ("items.json", b"{}", "items.json cannot be read"),
        ("items.json", b"[", "items.json cannot be read"),
        ("items.json", json.dumps({"ids": IDS[1:], "titles": TITLES}).encode(), "its ids are not the 15 texts"),
        ("items.json", json.dumps({"ids": IDS, "titles": [1] * 15}).encode(), "its titles are not the 15 texts"),
        ("items.json", json.dumps({"ids": ["1"] * 15, "titles": TITLES}).encode(), "two items have one id"),
        ("users.json", json.dumps({"ids": ["1"] * USERS}).encode(), "two users have one id"),
        ("people.npy", npy(np.zeros((USERS, 3), np.float32)), "people.npy is float32"),
        ("seen_starts.npy", npy(np.arange(USERS + 1)[::-1].copy()), "what users have seen does not fit"),
        ("seen_items.npy", npy(np.full(4 * USERS, -1, np.int32)), "users have seen items that are not there"),
    ],
)
def test_members_that_do_not_fit_are_told(tmp_path, member, data, message):
    path = write_sample(tmp_path / "forged.pyz", change=lambda members: members.update({member: data}))
    with pytest.raises(ProgramError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"input": {"objective": "guessing"}}, "lacks or garbles 'guessing'"),
        ({"input": {"objective": "rating"}}, "another range of ratings"),
        ({"input": {"form": "crystal ball"}}, "lacks or garbles 'crystal ball'"),
        ({"input": {"items": "many"}}, "are not the many texts"),
        ({"output": {"low": "one"}}, "lacks or garbles"),
        ({"output": {"like": None}}, "lacks or garbles"),
        ({"output": {"like": float("nan")}}, "what a like stands for"),
        ({"input": {"objective": "rating"}, "output": {"low": 5, "high": 1}}, "the range of ratings"),
    ],
)
def test_cards_that_do_not_fit_are_told(tmp_path, changed, message):
    with pytest.raises(ProgramError, match=message):
        load(write_sample(tmp_path / "forged.pyz", **changed))


def test_a_file_without_users_holds_nobodys_history(paths):
    with zipfile.ZipFile(paths.private) as archive:
        names = set(archive.namelist())
    assert not {"users.json", "people.npy", "seen_items.npy", "seen_starts.npy", "seen_values.npy"} & names
    assert {name.split(".")[-1] for name in names} == {"py", "npy", "json"}
    assert load(paths.private).recommend(likes=["Chainsaw Man"], n=1)[0].item in IDS


def test_a_catalogue_of_one_item(tmp_path):
    taste = Taste(np.ones((1, 2), np.float32), np.zeros(1, np.float32), np.eye(2), np.zeros(2))
    program = load(write_recommender(tmp_path / "one.pyz", taste, members_of(taste, ["1"], ["Only"], np.ones(1))))
    assert titles_of(program.recommend(likes=[])) == ["Only"]
    assert len(program.recommend(likes=["only"])) == 0
    assert program.predict(likes=[], item="Only").rank == 1
    assert len(program.similar("only")) == 0


def test_a_recommender_loads_nothing_but_numpy(paths, tmp_path):
    code = """
import sys
for name in ("PIL", "pandas", "torch", "fastai", "sklearn", "scipy", "onnx", "onnxruntime"):
    sys.modules[name] = None  # as where it is not installed
import runpy
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("status", end.code)
"""
    arguments = [sys.executable, "-c", code, str(paths.ranker), "--likes", "demon slayer", "Chainsaw Man"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Hell's Paradise" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1] == "status 0"
    assert done.stderr == ""
