"""`python -m recipes`: which recipes there are, and how to start one."""

import ast
import pkgutil
from pathlib import Path

import recipes


def main() -> None:
    """Print each recipe's name with the first line of its docstring; none of them is imported."""
    for module in pkgutil.iter_modules(recipes.__path__):
        if module.name == "__main__":
            continue
        source = (Path(recipes.__path__[0]) / f"{module.name}.py").read_text(encoding="utf-8")
        summary = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
        print(f"python -m recipes.{module.name} --help\n    {summary}")


if __name__ == "__main__":
    main()
