"""Learners of ratings and their programs, each trained once a session. A test file that uses them says
`pytest_plugins = ["helpers.collab_runs"]`."""

from types import SimpleNamespace

import pytest

from helpers.collab_programs import KINDS, NAMES, SAMPLE, exported, named_ratings


@pytest.fixture(scope="session", params=KINDS, ids=NAMES)
def run(request, tmp_path_factory) -> SimpleNamespace:
    """One of each kind, after two epochs on made ratings."""
    objective, form = request.param
    return exported(tmp_path_factory.mktemp("run"), named_ratings(), 2, objective=objective, form=form)


@pytest.fixture(scope="session")
def stars(tmp_path_factory) -> SimpleNamespace:
    """The sample ratings, learnt as they are by default."""
    return exported(tmp_path_factory.mktemp("stars"), SAMPLE, 0)


@pytest.fixture(scope="session")
def first(tmp_path_factory) -> SimpleNamespace:
    """The same for what to show first."""
    return exported(tmp_path_factory.mktemp("first"), SAMPLE, 0, objective="ranking")


@pytest.fixture(params=["stars", "first"])
def sample(request) -> SimpleNamespace:
    """Each of the two."""
    return request.getfixturevalue(request.param)
