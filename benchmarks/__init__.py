"""Figures with their peers, measured in the same run: `python -m benchmarks.NAME`. Not part of the installed package."""
