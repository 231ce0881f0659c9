"""Architectures by name and first weights from where the user says, or an error: never silently from something else."""

import urllib.error

import pytest
import torch
import torchvision
from helpers.image_samples import make_shapes

from recipes.image_classification import build_learner
from toolkit.errors import ToolkitError, WeightsError
from toolkit.learning.fitting import fit
from toolkit.learning.images.networks import create_network
from toolkit.learning.images.weights import choose_architecture, network_with_weights
from toolkit.learning.runs import Run, read_checkpoint


@pytest.mark.parametrize("name", ["small", "resnet18", "mobilenet_v3_small", "densenet121"])
def test_architectures_by_name_score_every_class(name):
    model = create_network(name, 5).model.eval()
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    assert len(model) == 2


def test_timm_architectures_where_it_is_installed():
    pytest.importorskip("timm", reason="timm is not installed")
    assert create_network("resnet10t", 4).model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 4)


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(ToolkitError, match="resnet18"):
        create_network("resnet81", 3)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (("auto", "auto", (32, 32)), ("small", "random")),
        (("auto", "auto", (128, 128)), ("resnet18", "pretrained")),
        (("auto", "random", (128, 128)), ("resnet18", "random")),
        (("auto", "pretrained", (32, 32)), ("resnet18", "pretrained")),
        (("resnet34", "auto", (32, 32)), ("resnet34", "pretrained")),
        (("small", "auto", (128, 128)), ("small", "random")),
    ],
)
def test_what_auto_stands_for(asked, got):
    assert choose_architecture(*asked[:2], size=asked[2]) == got


def no_network(*_, **__):
    raise urllib.error.URLError("no route to host")


def test_a_failed_download_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    with pytest.raises(WeightsError, match=r"resnet18 could not be downloaded .*no route.*--weights path/to/file.pth.*random"):
        network_with_weights("resnet18", 3, weights="pretrained")


def test_published_weights_come_through_torchvisions_own_loading(monkeypatch):
    published = torchvision.models.resnet18(weights=None).state_dict()
    monkeypatch.setattr(torchvision.models._api.WeightsEnum, "get_state_dict", lambda *_, **__: published)
    network = network_with_weights("resnet18", 3, weights="pretrained")
    assert torch.equal(network.model[0][0].weight, published["conv1.weight"])
    assert network.stats[0] == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_local_weight_file_fills_the_body(tmp_path, name, suffix):
    source = torchvision.models.get_model(name, weights=None)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": source.state_dict()}, path)
    else:
        from safetensors.torch import save_file

        save_file(source.state_dict(), path)
    network = network_with_weights(name, 3, weights=str(path))
    theirs = [value for key, value in source.state_dict().items() if not key.startswith(("fc", "classifier"))]
    ours = list(network.model[0].state_dict().values())
    assert all(torch.equal(one, other) for one, other in zip(theirs, ours, strict=True))


def test_a_file_of_another_architecture_or_of_code_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(torchvision.models.resnet50(weights=None).state_dict(), path)
    with pytest.raises(WeightsError, match="not the weights of resnet18.*--arch"):
        network_with_weights("resnet18", 3, weights=str(path))
    torch.save(torchvision.models.resnet18(weights=None), path)
    with pytest.raises(WeightsError, match="more than tensors"):
        network_with_weights("resnet18", 3, weights=str(path))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError):
        network_with_weights("resnet18", 3, weights=str(path))
    with pytest.raises(WeightsError, match="no such file"):
        network_with_weights("resnet18", 3, weights=str(tmp_path / "absent.pth"))
    with pytest.raises(ToolkitError, match="no published weights"):
        network_with_weights("small", 3, weights="pretrained")


def test_the_body_of_an_earlier_run_is_transferred_to_a_new_task(trained, tmp_path):
    earlier, folder, _ = trained
    learn = build_learner(make_shapes(tmp_path, 8, ("box", "disc"), seed=4), weights=str(folder))
    best = torch.load(folder / "checkpoints" / "best.pth", weights_only=True)["model"]
    for name, value in learn.model[0].state_dict().items():
        assert torch.equal(value, best[f"0.{name}"])
    assert learn.model[1][-1].out_features == 2
    assert learn.spec.stats == earlier.spec.stats
    with pytest.raises(WeightsError, match="not 'resnet18'"):
        network_with_weights("resnet18", 2, weights=str(folder))
    with pytest.raises(WeightsError, match="not a run of ours"):
        build_learner(tmp_path, weights=str(tmp_path))


def test_folders_called_like_the_choices_change_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("auto", "random", "pretrained"):
        (tmp_path / name).mkdir()
    assert choose_architecture("auto", "auto", size=(32, 32)) == ("small", "random")


def test_a_path_as_weights_is_written_as_text(trained, tmp_path):
    learn = build_learner(make_shapes(tmp_path / "others", seed=9), weights=trained[1])
    fit(learn, epochs=1, lr=1e-3, run=Run.open("a", learn, settings={}, folder=tmp_path / "run"))
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "best.pth")["weights"] == str(trained[1])
