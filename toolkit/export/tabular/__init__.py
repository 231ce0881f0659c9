"""From a learner of tables, and its trees, to a program."""
