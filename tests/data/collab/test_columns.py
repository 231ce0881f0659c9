"""Columns and titles are found in tables of ratings; what is no such table, or is asked of it in vain, is said to be so."""

import numpy as np
import pandas as pd
import pytest
from helpers.collab_tables import labelled, ratings, told, written

from toolkit.data.collab.options import CollabOptions, as_collab_options
from toolkit.errors import DataError


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["userId", "movieId", "rating", "timestamp"], "user 'userId', item 'movieId', rating 'rating', time 'timestamp'"),
        (["reviewerID", "asin", "overall", "unixReviewTime"], "user 'reviewerID', item 'asin', rating 'overall', time 'unix"),
        (["User-ID", "ISBN", "Book-Rating", "Date"], "user 'User-ID', item 'ISBN', rating 'Book-Rating', time 'Date'"),
        (["Customer", "Show", "Stars", "when"], "user 'Customer', item 'Show', rating 'Stars', time 'when'"),
        (["name", "movie", "score", "day"], "user 'name', item 'movie', rating 'score', time 'day' (by their place: user)"),
        (
            ["kunde", "artikel", "wertung", "wann"],
            "user 'kunde', item 'artikel', rating 'wertung' (by their place: user, item, r",
        ),
        (["user", "title", "rating", "x"], "user 'user', item 'title', rating 'rating'"),
        (["user", "movie_id", "rating", "movie_title"], "user 'user', item 'movie_id', rating 'rating'"),
    ],
)
def test_columns_are_found_by_their_usual_names_else_by_their_place(names, roles):
    found = labelled(ratings().set_axis(names, axis=1))
    assert found.notes[0].startswith(f"read as {roles}")
    swapped = ratings().set_axis(names, axis=1)
    if "place" not in roles:
        swapped = swapped[names[::-1]]
        assert labelled(swapped).users == found.users


def test_named_columns_need_no_note_and_swapped_ones_are_asked_about():
    options = {"user": "user", "item": "ITEM", "rating": "rating", "time": "time"}
    assert labelled(ratings(), **options).notes == []
    assert told(labelled(ratings(), user="item", item="user"), "are the two swapped?")
    plays = ratings()[["user", "item"]].assign(plays=3, weekday="Mon")
    assert labelled(plays).notes[1:] == [
        "no ratings are used: if column 'plays' holds them, name it with rating", "not learnt from: 'plays', 'weekday'",
    ]  # fmt: skip


def test_titles_of_a_column_and_of_a_table(tmp_path):
    frame = ratings()
    column = labelled(frame.assign(title=[f" The\n{item} " for item in frame["item"]]))
    assert column.titles[:2] == ("The 0", "The 1")
    assert column.has_titles
    people = labelled(frame.assign(title=[f"Mrs {user}" for user in frame.user]))
    assert people.titles == people.items
    assert not people.has_titles
    assert told(people, "items have several")
    table = pd.DataFrame({"item": np.arange(30), "title": ["One", "One", None, "Café", *map("film {}".format, range(4, 30))]})
    path = tmp_path / "titles.csv"
    path.write_bytes(table.to_csv(index=False, sep="|").encode("latin-1"))
    for titles in (table, path, table.assign(item=table["item"].astype(float)), table.set_axis(["a", "b"], axis=1)):
        found = labelled(frame, titles=titles)
        assert found.titles[:5] == ("One", "One", "2", "Café", "film 4")
        assert told(found, "5 of 30 items in the table of titles stand in no row of the data")
        assert told(found, "1 of 25 items have no title, such as '2'")
        assert told(found, "1 titles are of several items, such as 'One' (items 0, 1)")
    both = labelled(frame.assign(title="x"), titles=table, title="title")
    assert both.titles[:3] == ("One", "One", "x")


def test_tables_of_titles_that_are_of_something_else(tmp_path):
    frame = ratings()
    with pytest.raises(DataError, match=r"'item' names none of the 25 items \(such as 'x0', where the data has '0'\)"):
        labelled(frame, titles=pd.DataFrame({"item": ["x0", "x1"], "title": ["a", "b"]}))
    with pytest.raises(DataError, match="column 'b' does: call it 'item'"):
        labelled(frame, titles=pd.DataFrame({"a": ["x", "y"], "b": [0, 1]}))
    with pytest.raises(DataError, match="'0' is an item.*put a line item,title above it"):
        labelled(frame, titles=written(tmp_path, "".join(f"{item},film {item}\n" for item in range(25))))
    with pytest.raises(DataError, match="a table of titles has two"):
        labelled(frame, titles=frame[["item"]])
    with pytest.raises(DataError, match="no such file"):
        labelled(frame, titles=tmp_path / "none.csv")


FRAME = ratings()


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (FRAME[["user"]], {}, "one column, 'user': a user and an item are the least"),
        (FRAME, {"user": "who"}, "no column 'who': name the user column, one of 'user', 'item'"),
        (FRAME, {"user": "item", "item": "item"}, "column 'item' is named for two things, user and item"),
        (FRAME, {"rating": "user"}, "which column is the user"),
        (FRAME, {"rating": "time", "time": "rating"}, r"300 of 300 rows have no rating .*is it a time\?"),
        (FRAME.assign(user=1), {}, "the user column 'user' holds only '1'"),
        (FRAME.assign(item="x"), {}, "the item column 'item' holds only 'x'"),
        (FRAME.assign(user=None), {}, "no row is left to learn from: set aside 300"),
        (FRAME.assign(rating=3), {}, "every rating that is trained on, in column 'rating', is 3: .* objective ranking"),
        (FRAME.assign(rating="★★★"), {}, "300 of 300 rows .* rating '★★★' is no number.* leave ratings out with rating 'none'"),
        (FRAME, {"rating_range": "10,20"}, "300 of 300 rows .* is outside 10 to 20.* another rating_range"),
        (FRAME[["user", "item"]], {"objective": "rating"}, "needs ratings, and no column of ratings was found"),
        (FRAME, {"objective": "rating", "rating": "none"}, "needs ratings, and they are ignored"),
        (FRAME, {"rating": "none", "liked_from": 4}, "liked_from is about ratings"),
        (FRAME[["user", "item"]], {"rating_range": "1,5"}, "rating_range is about ratings"),
        (FRAME, {"liked_from": 6}, "no rating that is trained on is 6 or more .*give a smaller liked_from"),
        (FRAME, {"test": FRAME[["user", "item"]]}, "the test, DataFrame: lacks column 'rating' of the data"),
        (FRAME, {"test": FRAME}, "nothing is left for train and valid"),
        (FRAME[:2], {}, "nothing is left for valid and test: 2 rows"),
        (FRAME[:0], {}, "no rows"),
        (FRAME, {"seed": -1}, "seed -1: expected a whole number from 0"),
        (FRAME.pivot(index="user", columns="item", values="rating").reset_index(), {}, "seems to have a column for each item"),
    ],
)
def test_tables_that_cannot_be_learnt_from(frame, options, said):
    with pytest.raises(DataError, match=said):
        labelled(frame, **options)


def test_a_file_without_a_header_is_said_to_be_one(tmp_path):
    said = "the first line, .*, seems to be a row already .*put a line above it that names the columns, such as user,item,rating"
    texts = ratings().assign(user=lambda frame: [f"p{user}" for user in frame.user])
    pairs = texts.assign(item=[f"q{item}" for item in texts["item"]])[["user", "item"]]
    for frame in (ratings(), texts, pairs):
        with pytest.raises(DataError, match=said):
            labelled(written(tmp_path, frame.to_csv(index=False, header=False)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objective": "stars"}, "objective 'stars'; choose from auto, rating, ranking"),
        ({"split": "group"}, "split 'group'; choose from random, time, last, user"),
        ({"rating_range": "5,1"}, "rating_range '5,1': expected two numbers, the lower first"),
        ({"rating_range": "5"}, "expected two numbers"),
        ({"rating_range": "nan,5"}, "expected two numbers"),
        ({"liked_from": "many"}, "liked_from 'many': expected a rating"),
        ({"liked_from": float("nan")}, "expected a rating"),
        ({"test": "test.csv", "split": "time"}, "leave one of the two out"),
    ],
)
def test_options_that_none_can_be(options, said):
    with pytest.raises(DataError, match=said):
        as_collab_options(**options)


def test_options_come_as_a_command_line_gives_them():
    options = as_collab_options(user=0, titles="", test=" ", title=None, rating_range="0.5, 5", liked_from="4")
    assert options == CollabOptions(user="0", low=0.5, high=5.0, liked_from=4.0)
