"""Programs of tables, each trained once a session. A test file that uses them says
`pytest_plugins = ["helpers.tabular_runs"]`."""

from types import SimpleNamespace

import pytest

from helpers.tabular_samples import exported, made


@pytest.fixture(scope="session")
def planner(tmp_path_factory) -> SimpleNamespace:
    """It tells the plan, one of three."""
    return exported(tmp_path_factory.mktemp("planner"), made(), target="plan", leave_out="spent")


@pytest.fixture(scope="session")
def spender(tmp_path_factory) -> SimpleNamespace:
    """It estimates what is spent."""
    return exported(tmp_path_factory.mktemp("spender"), made(), target="spent", leave_out="plan")
