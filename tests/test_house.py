"""The house stands as it was designed: imports run one way, the runtime is light, the public surface grows on purpose."""

import ast
import re
import subprocess
import sys

import pytest
from helpers import ROOT

FLOORS = {
    "errors": 0, "needs": 1, "files": 1.5, "converters": 2, "program": 3, "serving": 4, "data": 4, "learning": 5,
    "evaluation": 5, "export": 6, "reports": 6,
}  # fmt: skip
OUTSIDE = {
    "errors": set(), "needs": set(), "files": {"filelock"},
    "converters": {"numpy", "scipy", "PIL", "soundfile"},
    "program": {"numpy", "PIL", "onnxruntime"},
    "data": {"numpy", "scipy", "pandas", "sklearn", "joblib", "PIL", "imagehash", "rich", "pyarrow", "openpyxl"},
    "evaluation": {"numpy", "scipy", "pandas", "sklearn", "joblib", "librosa", "lightgbm", "torch"},
    "reports": {"numpy", "pandas", "PIL", "jinja2", "matplotlib"},
}  # fmt: skip
SOURCES = sorted((ROOT / "toolkit").rglob("*.py"))


def imports(path):
    """(module, guarded) for each import in a file; guarded: under `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names), f"star import in {path}"
            yield from ((f"{node.module}.{alias.name}", id(node) in guarded) for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])
def test_a_file_imports_only_from_its_own_room_and_from_floors_below(path):
    room = path.relative_to(ROOT / "toolkit").parts[0].removesuffix(".py")
    for module, guarded in imports(path):
        top, _, rest = module.partition(".")
        assert top != "recipes", "toolkit never imports recipes"
        other = rest.partition(".")[0]
        if top == "toolkit" and other in FLOORS and other != room and not guarded:
            assert FLOORS[other] < FLOORS[room], f"{room} (floor {FLOORS[room]}) imports {module}"
        elif room in OUTSIDE and top not in sys.stdlib_module_names and top != "toolkit" and not guarded:
            assert top in OUTSIDE[room], f"{room} imports {module}"


@pytest.mark.parametrize(
    "path", [*SOURCES, *sorted((ROOT / "recipes").glob("*.py"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_file_says_why_it_is_there_and_is_read_in_one_sitting(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


def loaded_by(statement):
    """The top-level modules that a fresh process holds after a statement."""
    code = f"{statement}\nimport sys\nprint(' '.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_importing_the_runtime_loads_neither_torch_nor_fastai_nor_pandas():
    assert not loaded_by("import toolkit.program") & {"torch", "fastai", "fastcore", "pandas", "matplotlib", "sklearn", "librosa"}
    assert not loaded_by("import toolkit.data") & {"torch", "fastai", "fastcore"}
    assert not loaded_by("import toolkit") & {"numpy", "PIL", "torch"}
    assert not loaded_by("import toolkit.program.tabular.program, toolkit.program.tabular.cli") & {"PIL", "pandas", "torch"}
    recommending = loaded_by("import toolkit.program.collab.program, toolkit.program.collab.cli")
    assert not recommending & {"PIL", "onnxruntime", "scipy", "pandas", "torch"}


def test_recipes_of_pictures_do_without_what_tables_need():
    assert not loaded_by("import recipes.image_classification") & {"tabm", "rtdl_num_embeddings", "lightgbm"}


def test_importing_the_toolkit_changes_no_warning_filter():
    code = """
import torch, fastai.vision.learner, warnings
before = list(warnings.filters)
import recipes.image_classification
assert before == warnings.filters
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=ROOT)


def test_the_public_surface():
    import toolkit.converters
    import toolkit.data
    import toolkit.evaluation
    import toolkit.program
    import toolkit.reports

    assert toolkit.reports.__all__ == ["Figure", "Gallery", "Page", "Picture", "Section", "Table", "Text", "write_page"]
    assert toolkit.program.__all__ == ["Program", "load"]
    assert toolkit.evaluation.__all__ == ["Interval", "Scores", "evaluate"]
    assert toolkit.data.__all__ == ["Items", "Readings", "find_items", "near_twins", "read_items", "split_items"]
    assert toolkit.converters.__all__ == [
        "CONVERTERS", "IMAGE_SUFFIXES", "MAX_PIXELS", "RESIZE_METHODS", "Converter", "Windowed", "check", "converter_class",
        "converter_names", "find_converter", "fit_image", "name_of", "needs_of", "package_of", "picture_size", "promised_size",
        "read_image", "settings_of",
    ]  # fmt: skip


def test_the_list_of_recipes():
    done = subprocess.run([sys.executable, "-m", "recipes"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "python -m recipes.image_classification --help\n    Image classification: from a folder" in done.stdout


def test_every_link_in_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert "docs/picture.png" in links
    assert all((ROOT / link).exists() for link in links)


@pytest.mark.parametrize("module", ["recipes.image_classification", "toolkit.data"])
def test_what_a_base_install_lacks_for_training_is_named_with_its_command(module):
    code = f"import sys; sys.modules['pandas'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert "pandas is needed" in done.stderr
    assert "pip install 'fastai-toolkit[train]'" in done.stderr
