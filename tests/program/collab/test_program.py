"""A program that recommends: known and new people, reasons, and notes on what was odd."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from helpers.collab_samples import IDS, TITLES, USERS, made_model, npy, samples, write_recommender, write_sample
from sklearn.linear_model import Ridge

from toolkit.errors import ConversionError, ProgramError
from toolkit.program import load
from toolkit.program.collab.arrays import members_of
from toolkit.program.collab.outputs import best


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


@pytest.mark.parametrize("kind", ["ranker", "rater"])
def test_a_newcomers_likes_are_answered_with_reasons(kind, request):
    program = request.getfixturevalue(kind)
    answer = program.recommend(likes=["Demon Slayer", "Chainsaw Man"], n=3)
    assert answer[0].title == "Hell's Paradise"
    assert answer[0].item == "102"
    assert answer[0].reason == "because you like Demon Slayer: Kimetsu no Yaiba and Chainsaw Man"
    assert set(titles_of(answer)) == {"Hell's Paradise", "Jujutsu Kaisen", "Dorohedoro"}
    assert answer.notes == ("'Demon Slayer' is taken for 'Demon Slayer: Kimetsu no Yaiba'",)
    assert [each.score for each in answer] == sorted((each.score for each in answer), reverse=True)


def test_scores_are_those_of_the_taste(ranker, rater):
    for program, bound in ((ranker, np.inf), (rater, 5.0)):
        vector = program.model.solve(np.array([0, 1]))
        expected = np.minimum(program.model.scores(vector), bound)
        for each in program.recommend(likes=[100, 101], n=13):
            assert each.score == pytest.approx(expected[IDS.index(each.item)], abs=1e-6)


def test_ratings_stay_in_their_range(tmp_path):
    model = made_model(True)
    model.offset[[4, 9]] = 9, -9
    members = members_of(model, IDS, titles=TITLES, popularity=np.zeros(15))
    program = load(write_recommender(tmp_path / "far.pyz", model, members, objective="rating"))
    answer = program.recommend(likes={"Chainsaw Man": 5}, n=14)
    assert (answer[0].item, answer[0].score, answer[-1].item, answer[-1].score) == (IDS[4], 5, IDS[9], 1)
    assert [program.predict(likes={"Chainsaw Man": 5}, item=TITLES[code]).value for code in (4, 9)] == [5, 1]


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
    model = made_model(False)
    model.vectors[3] = 0
    program = load(
        write_recommender(tmp_path / "cold.pyz", model, members_of(model, IDS, titles=TITLES, popularity=np.zeros(15)))
    )
    assert "nothing was learnt about 'Jujutsu Kaisen'" in program.similar("Jujutsu Kaisen").notes[0]
    assert "103" not in {each.item for each in program.similar("Chainsaw Man", n=15)}


def test_a_rating_is_predicted_for_user_and_newcomer(rater):
    model, seen = rater.model, [0, 1, 2, 9]  # what u0 has rated
    person = Ridge(alpha=1, fit_intercept=False).fit(model.vectors[seen], np.array([5, 4, 5, 1]) - model.offset[seen]).coef_
    for item in (3, 5):  # of a group that is liked, and of one that is not
        expected = model.offset[item] + model.vectors[item] @ person
        assert 1 < expected < 5
        assert rater.predict("u0", TITLES[item]).value == pytest.approx(expected, abs=1e-5)
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
    assert best(scores, 3, ties=ties).tolist() == [1, 2, 4]
    assert best(scores, 99, ties=ties).tolist() == [1, 2, 4, 0]
    assert best(np.full(3, -np.inf), 2, ties=ties[:3]).tolist() == []


def test_threads_share_a_program(ranker):
    asked = [f"u{number % USERS}" for number in range(200)]
    fresh = load(ranker.archive.path)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda user: (fresh.recommend(user=user), fresh.similar("chainsow man")), asked))
    assert [answer for answer, _ in found] == [ranker.recommend(user=user) for user in asked]
