"""The house stands as it was designed: imports run one way, the runtime is light, the public surface grows on purpose."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib

import pytest
from helpers import ROOT

import toolkit
from toolkit.tasks import TASKS

FLOORS = {
    "errors": 0, "na_values": 1, "needs": 1, "tasks": 1, "spec": 1, "files": 1.5, "converters": 2, "program": 3, "serving": 4,
    "data": 4, "learning": 5, "evaluation": 5, "export": 6, "reports": 6,
}  # fmt: skip
WINGS = ("images", "segmentation", "tabular", "collab")
MAY_USE = {("segmentation", "images"), ("collab", "tabular")}  # of the wings beside it
OUTSIDE = {
    "errors": set(), "na_values": set(), "needs": set(), "tasks": set(), "spec": {"fastai"}, "files": {"filelock"},
    "converters": {"numpy", "scipy", "PIL", "soundfile"},
    "program": {"numpy", "PIL", "onnxruntime"},
    "data": {"numpy", "scipy", "pandas", "sklearn", "joblib", "PIL", "imagehash", "rich", "pyarrow", "openpyxl"},
    "learning": {
        "numpy", "scipy", "pandas", "sklearn", "PIL", "torch", "torchvision", "fastai", "fastcore", "fasttransform",
        "fastprogress", "safetensors",
        "timm", "segmentation_models_pytorch", "tabm", "rtdl_num_embeddings", "lightgbm",
    },
    "evaluation": {"numpy", "scipy", "pandas", "sklearn", "joblib", "librosa", "lightgbm", "torch", "fastai"},
    "export": {"numpy", "pandas", "PIL", "torch", "onnx", "fastai", "scipy"},
    "reports": {"numpy", "pandas", "PIL", "jinja2", "matplotlib", "fastai", "scipy", "sklearn", "torch"},
}  # fmt: skip
OF_ONE_TASK = re.compile(r"Labelled\w|(Image|Segmentation|Tabular|Collab)(Program|Scores|Export|Spec)")  # classes
SOURCES = sorted((ROOT / "toolkit").rglob("*.py"))
EVERY = pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])


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


def room_of(path):
    """The room that a file of the toolkit stands in."""
    return path.relative_to(ROOT / "toolkit").parts[0].removesuffix(".py")


def wing_in(parts):
    """The wing that a path below a room, or a module's name, leads into; None for what tasks share."""
    return next((part for part in parts[1:2] if part in WINGS), None)


@EVERY
def test_a_file_imports_only_from_its_own_room_and_from_floors_below(path):
    room = room_of(path)
    for module, guarded in imports(path):
        top, _, rest = module.partition(".")
        assert top != "recipes", "toolkit never imports recipes"
        other = rest.partition(".")[0]
        if top == "toolkit" and other in FLOORS and other != room and not guarded:
            assert FLOORS[other] < FLOORS[room], f"{room} (floor {FLOORS[room]}) imports {module}"
        elif room in OUTSIDE and top not in sys.stdlib_module_names and top != "toolkit" and not guarded:
            assert top in OUTSIDE[room], f"{room} imports {module}"


@EVERY
def test_a_wing_uses_what_tasks_share_and_of_the_others_only_the_one_it_builds_on(path):
    below = path.relative_to(ROOT / "toolkit")
    own = wing_in([*below.parts[:-1], below.stem])
    for module, _ in imports(path):
        top, *rest = module.split(".")
        other = wing_in(rest) if top == "toolkit" else None
        if other and own:
            assert other == own or (own, other) in MAY_USE, f"the wing {own} imports {module}"
        elif other and room_of(path) != "converters":
            raise AssertionError(f"{below}, which tasks share, imports {module} of one of them: ask toolkit/tasks.py")


@EVERY
def test_what_tasks_share_names_no_task(path):
    """Neither a wing, nor the kind of input that tells one, nor a wing's class: that is for `tasks.py` alone."""
    below = path.relative_to(ROOT / "toolkit")
    if wing_in([*below.parts[:-1], below.stem]) or room_of(path) in ("tasks", "converters"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    extras = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "extra"}
    telling = {*WINGS[1:], *(task.input_kind for task in TASKS.values() if task.input_kind not in ("image", "table"))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in extras:
            assert node.value not in telling, f"{below}:{node.lineno} tells a task by {node.value!r}"
        elif isinstance(node, ast.Name):
            assert not OF_ONE_TASK.match(node.id), f"{below}:{node.lineno} names {node.id}"


# called by others, who hand over what they like: sys, torch's autograd and hooks, lru_cache, joblib
CALLED_BY_POSITION = {"report_plainly", "forward", "tap", "_uncalibrated", "_open", "_make_here"}


@pytest.mark.parametrize(
    "path", [*SOURCES, *sorted((ROOT / "recipes").glob("*.py"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_past_the_second_parameter_there_are_keywords_only(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name not in CALLED_BY_POSITION:
            taken = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            taken = taken[1:] if taken[:1] in (["self"], ["cls"]) else taken
            assert len(taken) <= 2, f"{node.name}, line {node.lineno}, takes {', '.join(taken)} by position"


def test_the_table_of_tasks_names_what_is_there():
    parts = ("program", "command", "about", "selftest", "evaluate", "scores", "export", "calibrate", "explain", "doctor")
    assert tuple(TASKS) == WINGS
    for name, task in TASKS.items():
        assert task.wing == name
        assert all(task.part(each) is not None for each in parts if getattr(task, each))
        assert task.explain or task.instead


def test_imports_inside_a_room_run_in_no_circle():
    """Two files that need each other are one file, or three."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in SOURCES}
    needs = {}
    for name, path in names.items():
        found = {module for module, guarded in imports(path) if not guarded}
        needs[name] = {other for each in found for other in (each, each.rpartition(".")[0]) if other in names and other != name}
    while free := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in free:
            del needs[name]
    assert not needs, f"in a circle, or asking one: {sorted(needs)}"


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


SURFACE = {
    "converters": [
        "CONVERTERS", "IMAGE_SUFFIXES", "MAX_PIXELS", "RESIZE_METHODS", "Converter", "Windowed", "check", "converter_class",
        "converter_names", "find_converter", "fit_image", "name_of", "needs_of", "package_of", "picture_size", "promised_size",
        "read_image", "settings_of",
    ],
    "data": ["Items", "Labelled", "SplitOptions", "find_items", "near_duplicates", "split_items"],
    "evaluation": ["Interval", "Scores", "evaluate"],
    "export": ["export"],
    "learning": ["Run", "find_rate", "fit"],
    "program": ["Program", "load"],
    "reports": ["Figure", "Gallery", "Page", "Picture", "Section", "Table", "Text", "write_page"],
}  # fmt: skip


@pytest.mark.parametrize("room", SURFACE)
def test_the_public_surface(room):
    module = importlib.import_module(f"toolkit.{room}")
    assert module.__all__ == SURFACE[room]
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_version_stands_in_one_place():
    assert re.fullmatch(r"\d+\.\d+\.\d+", toolkit.__version__)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "toolkit.__version__"}
    assert "version" not in project["project"]


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
