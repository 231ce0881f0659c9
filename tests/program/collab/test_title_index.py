"""Titles are found as people type them; what is not surely meant is guessed with a note, or only suggested."""

import time

import numpy as np
import pytest
from helpers.collab_samples import IDS, TITLES

from toolkit.program.collab.title_index import TitleIndex, distances
from toolkit.program.collab.title_text import name_of, plain_words


def index_of(titles, ids=None, popularity=None):
    ids = ids or [f"i{number}" for number in range(len(titles))]
    return TitleIndex.build(
        titles, ids, popularity=np.zeros(len(titles), dtype=np.int64) if popularity is None else np.array(popularity)
    )


@pytest.fixture(scope="module")
def index():
    return index_of(TITLES, IDS, range(len(TITLES)))


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("Godfather, The (1972)", "Godfather, The (1972)"),
        ("the godfather", "Godfather, The (1972)"),
        ("GODFATHER", "Godfather, The (1972)"),
        ("The Godfather (1972)", "Godfather, The (1972)"),
        ("the godfather 1972", "Godfather, The (1972)"),
        ("  Godfather ", "Godfather, The (1972)"),
        ("the godfather part ii", "Godfather: Part II, The (1974)"),
        ("Sabrina (1995)", "Sabrina (1995)"),
        ("sabrina 1954", "Sabrina (1954)"),
        ("amelie", "Amélie (2001)"),
        ("AME\u0301LIE", "Amélie (2001)"),
        ("hells paradise", "Hell's Paradise"),
        ("Hell’s Paradise", "Hell's Paradise"),
        ("chainsawman", "Chainsaw Man"),
        ("Laid Back Camp", "Laid-Back Camp"),
        ("k on", "K-On!"),
        ("夏目友人帳", "夏目友人帳"),
        ("104", "Dorohedoro"),
    ],
)
def test_a_title_may_be_written_in_many_ways(index, typed, title):
    match = index.find(typed)
    assert TITLES[match.item] == title
    assert (match.note, match.guessed) == ("", False)


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("Demon Slayer", "Demon Slayer: Kimetsu no Yaiba"),
        ("kimetsu no yaiba", "Demon Slayer: Kimetsu no Yaiba"),
        ("Chainsaw Man: Reze", "Chainsaw Man"),
        ("demn slayer", "Demon Slayer: Kimetsu no Yaiba"),
        ("Jujitsu Kaisen", "Jujutsu Kaisen"),
        ("hells paradsie", "Hell's Paradise"),
        ("godfahter", "Godfather, The (1972)"),
        ("夏目友人張", "夏目友人帳"),
        ("Dorohedro (2020)", "Dorohedoro"),
    ],
)
def test_a_part_of_a_title_and_a_slip_are_taken_with_a_note(index, typed, title):
    match = index.find(typed)
    assert match.note == f"{typed!r} is taken for {title!r}"
    assert (TITLES[match.item], match.guessed) == (title, True)


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("Godfather Part III", "Godfather: Part II, The (1974)"),  # another sequel is another film
        ("godfather 1990", "Godfather, The (1972)"),
        ("slayer of demons", "Demon Slayer: Kimetsu no Yaiba"),
        ("Laid-Down Lamp", "Laid-Back Camp"),
    ],
)
def test_what_may_be_another_item_is_only_suggested(index, typed, suggested):
    match = index.find(typed)
    assert match.item is None
    assert repr(suggested) in match.suggestions
    assert len(match.suggestions) <= 5


@pytest.mark.parametrize("typed", ["", "   ", "xyzzy", "!!!", "🎬", "\x00", "ab", "x" * 100_000, "\ud800", "9" * 500, "の"])
def test_what_is_unlike_all_is_unknown(index, typed):
    assert index.find(typed).item is None


def test_namesakes_are_told_apart_by_year_and_spelling_or_the_more_popular_is_taken(index):
    match = index.find("sabrina")
    assert TITLES[match.item] == "Sabrina (1995)"
    assert match.guessed
    assert match.note == (
        "'sabrina' is what 2 items are called: taken for Sabrina (1995) (id 113), which most people chose, "
        "not Sabrina (1954) (id 112)"
    )
    assert "which has another year" in index.find("Sabrina (1960)").note
    twins = index_of(["Heat", "Heat", "heat", "The Heat"], popularity=[1, 2, 9, 9])
    assert twins.find("Heat").item == 1
    assert "taken for Heat (id i1), which most people chose, not Heat (id i0)" in twins.find("Heat").note
    assert (twins.find("heat").item, twins.find("heat").note) == (2, "")
    assert (twins.find("the heat").item, twins.find("the heat").note) == (3, "")
    assert twins.quoted(0) == "'Heat' (id i0)"


def test_ids_and_titles_may_be_equal():
    index = index_of(["300", "Seven", "1984"], ["7", "300", "2"])
    assert index.find("300").item == 0
    assert index.find("300").note == "'300' is taken as a title; it is also the id of 'Seven'"
    assert index.find("300", id_first=True).item == 1
    assert (index.find("1984").item, index.find("7").item) == (2, 0)
    bare = index_of(["b-1", "b-2", "b-11"], ["b-1", "b-2", "b-11"])
    assert [bare.find(name).item for name in ("b-1", "B 2", "b-11")] == [0, 1, 2]
    assert bare.find("b-3").item is None


def test_parts_that_several_titles_share_stand_for_none():
    index = index_of(["Star Wars: A New Hope", "Star Wars: Return of the Jedi", "Alien", "Aliens", "Alien 3"])
    match = index.find("star wars")
    assert match.item is None
    assert set(match.suggestions) == {"'Star Wars: A New Hope'", "'Star Wars: Return of the Jedi'"}
    assert (index.find("alien").item, index.find("aliens").item, index.find("alien 2").item) == (2, 3, None)


def test_other_names_in_brackets_are_names():
    index = index_of(
        ["City of Lost Children, The (Cité des enfants perdus, La) (1995)", "Seven (a.k.a. Se7en) (1995)", "Postino, Il"]
    )
    for number, names in enumerate(
        [("the city of lost children", "La cite des enfants perdus"), ("se7en", "Seven (1995)"), ("il postino", "postino")]
    ):
        assert [index.find(name).item for name in names] == [number, number]


def test_titles_of_signs_alone_are_found_by_their_signs():
    index = index_of(["!!!", "+", "🎬🎬", "C++", "C", "हिन्दी", "हिन्दू"])
    assert [index.find(title).item for title in ("!!!", "+", "🎬🎬", "C++", "c++", "c", "हिन्दी", "हिन्दू")] == [
        0,
        1,
        2,
        3,
        3,
        4,
        5,
        6,
    ]


def test_names_are_taken_apart():
    name = name_of("Godfather: Part II, The (1974)")
    assert (name.words, name.core, name.year) == ("the godfather part ii", "godfather part ii", "1974")
    assert "godfather" in name.parts
    assert name_of("(1984)").words == "1984"
    assert name_of("").words == ""
    assert plain_words("Straße & Ærø, L’Été") == "strasse and aero lete"
    assert plain_words("ﾃﾞｽﾉｰﾄ") == plain_words("デスノート")
    assert name_of("鬼滅の刃：無限列車編").parts == ("鬼滅の刃", "無限列車編")
    assert name_of("2:22").parts == ()
    assert name_of("Die Hard").core == "die hard"


def test_slips_are_counted_with_swaps():
    pairs = [("kitten", "sitting", 3), ("abcd", "abdc", 1), ("abc", "", 3), ("a", "b", 1), ("same", "same", 0), ("ca", "abc", 3)]
    for one, other, expected in pairs:
        assert distances(one, [other, "padding to another width"])[0][0] == expected
    assert distances("demon", ["demon slayer"])[1].tolist() == [0]


def test_slips_are_those_that_rapidfuzz_counts():
    """Optimal string alignment: of the whole, and of the nearest beginning of the other text."""
    osa = pytest.importorskip("rapidfuzz.distance.OSA", reason="the oracle of slips, rapidfuzz, is not installed")
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc é夏"), rng.integers(0, 14))) for _ in range(60)] + [
        "chainsaw man",
        "chiansaw man",
        "k on",
    ]
    for one in texts:
        found, begun = distances(one, texts)
        assert found.tolist() == [osa.distance(one, other) for other in texts]
        assert begun.tolist() == [min(osa.distance(one, other[:end]) for end in range(len(other) + 1)) for other in texts]


def test_an_index_that_leads_astray_is_found_out(index):
    assert index.problem() == ""
    for name, change in (
        ("title_items", lambda array: array + 100),
        ("gram_items", lambda array: array - 1),
        ("gram_starts", lambda array: array[:-1]),
        ("gram_starts", lambda array: array[::-1]),
        ("gram_counts", lambda array: array[1:]),
        ("part_keys", lambda array: array[1:]),
    ):
        assert TitleIndex(
            TITLES, IDS, popularity=index.popularity, arrays={**index.arrays, name: change(index.arrays[name])}
        ).problem()


def test_a_large_catalogue_is_searched_quickly():
    rng = np.random.default_rng(0)
    syllables = ["ka", "mo", "ri", "ten", "shi", "lu", "ver", "dan", "pol", "gra", "nim", "tos"]
    titles = ["".join(rng.choice(syllables, 4)) + " " + "".join(rng.choice(syllables, 4)) for _ in range(20_000)]
    index = index_of(titles)
    began = time.perf_counter()
    found = [index.find(title[:3] + "x" + title[4:]).item is not None for title in titles[:20]]
    assert time.perf_counter() - began < 20 * 0.1  # some 1 ms each where nothing else runs
    assert sum(found) > 10
