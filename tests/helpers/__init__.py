"""What several test files share: made data, small runs, and programs of each kind."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
