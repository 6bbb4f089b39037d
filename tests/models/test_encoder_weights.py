"""Initial weights of encoders: by path, with prefixes, for a trunk alone, and from downloads that fail."""

from dataclasses import replace
from urllib.error import URLError

import pytest
import torch

from raysweep.config.sections import Model
from raysweep.core.errors import UserError
from raysweep.models import BACKBONES, build_model
from raysweep.models.backbones import check_weights, weights_checksum
from raysweep.training import weights_hash

PREFIXES = ["", "module.", "encoder.", "module.encoder."]


def state_of(backbone, seed=9):
    """Weights of an encoder, every running statistic among them set to something of its own."""
    state = build_model(Model(backbone=backbone, weights=None), 8, seed=seed).encoder.state_dict()
    return {name: value + 1 if "running" in name else value for name, value in state.items()}


def saved(path, state, prefix="", nested=True):
    state = {prefix + name: value for name, value in state.items()}
    torch.save({"state_dict": state, "epoch": 3} if nested else state, path)
    return str(path)


def encoder_from(backbone, weights, seed=0):
    return build_model(Model(backbone=backbone, weights=weights), 8, seed=seed).encoder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("backbone", ["small", "arm"])
def test_a_complete_encoder(path, backbone, prefix, nested):
    source = state_of(backbone)
    weights = saved(path, source, prefix, nested)
    assert weights_hash(encoder_from(backbone, weights).state_dict()) == weights_hash(source)


def test_a_whole_model_gives_its_encoder(path):
    model = build_model(Model(backbone="arm", weights=None, head="scn"), 8, seed=9)
    weights = saved(path, model.state_dict(), "module.")
    assert weights_hash(encoder_from("arm", weights).state_dict()) == weights_hash(model.encoder.state_dict())


class TestTrunkAlone:
    """ResNet-18 trained elsewhere becomes ARM's trunk."""

    @pytest.mark.parametrize("classifier", [True, False])
    @pytest.mark.parametrize("prefix", [*PREFIXES, "trunk."])
    def test_the_trunk_is_filled_and_the_rest_keeps_its_values(self, path, prefix, classifier):
        source = state_of("resnet18")
        extra = {"fc.weight": torch.ones(8631, 512), "fc.bias": torch.ones(8631)} if classifier else {}
        loaded = encoder_from("arm", saved(path, source | extra, prefix)).state_dict()
        fresh = encoder_from("arm", None).state_dict()
        trunk = {name.removeprefix("trunk."): v for name, v in loaded.items() if name.startswith("trunk.")}
        assert weights_hash(trunk) == weights_hash(source)
        others = [name for name in loaded if not name.startswith("trunk.")]
        assert sorted(others) == [
            "affinity.alpha",
            "affinity.num_batches_tracked",
            "affinity.running_mean",
            "de_albino.weight",
            "norm.bias",
            "norm.num_batches_tracked",
            "norm.running_mean",
            "norm.running_var",
            "norm.weight",
        ]
        assert weights_hash({n: loaded[n] for n in others}) == weights_hash({n: fresh[n] for n in others})

    def test_it_must_be_whole(self, path):
        source = state_of("resnet18")
        del source["layer3.1.conv2.weight"]
        with pytest.raises(UserError, match=r"1 of 120 are missing or of another shape.*trunk\.layer3\.1\.conv2"):
            encoder_from("arm", saved(path, source))

    def test_of_another_network(self, path):
        with pytest.raises(UserError, match="must fit encoder 'arm'"):
            encoder_from("arm", saved(path, state_of("small")))


@pytest.mark.parametrize("lost", ["de_albino.weight", "affinity.running_mean", "affinity.alpha", "trunk.bn1.weight"])
def test_a_complete_arm_must_not_lack_a_part(path, lost):
    source = state_of("arm")
    del source[lost]
    with pytest.raises(UserError, match=rf"must fit encoder 'arm', but 1 of 129 .*: {lost}"):
        encoder_from("arm", saved(path, source))


def test_a_part_of_another_shape(path):
    source = state_of("arm") | {"norm.weight": torch.ones(3)}
    with pytest.raises(UserError, match=r"1 of 129 .*: norm\.weight"):
        encoder_from("arm", saved(path, source))


def test_counters_of_old_checkpoints_may_be_absent(path):
    source = {name: value for name, value in state_of("arm").items() if not name.endswith("num_batches_tracked")}
    loaded = encoder_from("arm", saved(path, source)).state_dict()
    assert weights_hash({name: loaded[name] for name in source}) == weights_hash(source)


class TestBadFiles:
    def test_code(self, path):
        class Evil:
            def __reduce__(self):
                return print, ("code ran",)

        torch.save({"state_dict": Evil()}, path)
        with pytest.raises(UserError, match="cannot be read as a checkpoint of tensors"):
            encoder_from("small", str(path))

    def test_truncated(self, path):
        saved(path, state_of("small"))
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(UserError, match="cannot be read as a checkpoint of tensors"):
            encoder_from("small", str(path))

    @pytest.mark.parametrize("content", [torch.ones(3), {"state_dict": torch.ones(3)}, [1, 2]])
    def test_no_dict(self, path, content):
        torch.save(content, path)
        with pytest.raises(UserError, match="must hold a dict of tensors"):
            encoder_from("small", str(path))

    @pytest.mark.parametrize("backbone", ["small", "arm"])
    def test_no_tensors(self, path, backbone):
        with pytest.raises(UserError, match="must fit encoder"):
            encoder_from(backbone, saved(path, {}))


class TestImageNet:
    @pytest.mark.parametrize("error", [URLError("no such host"), RuntimeError("hash"), KeyError("a hub's own")])
    @pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "res2net50", "arm"])
    def test_a_failed_download(self, monkeypatch, backbone, error):
        def fails():
            raise error

        monkeypatch.setitem(BACKBONES, backbone, replace(BACKBONES[backbone], imagenet=fails))
        with pytest.raises(UserError, match=f"ImageNet weights of {backbone} could not be downloaded") as caught:
            check_weights(backbone, "imagenet")
        assert "--set model.weights=/path/to/weights.pth" in str(caught.value)

    def test_timms_hub_without_a_network(self, monkeypatch, tmp_path):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(UserError, match="ImageNet weights of res2net50 could not be downloaded") as caught:
            check_weights("res2net50", "imagenet")
        assert "\n" not in str(caught.value)

    def test_arms_are_those_of_resnet18_for_its_trunk(self, monkeypatch):
        source = state_of("resnet18")

        def download():
            return source | {"fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)}

        monkeypatch.setitem(BACKBONES, "arm", replace(BACKBONES["arm"], imagenet=download))
        assert weights_hash(encoder_from("arm", "imagenet").trunk.state_dict()) == weights_hash(source)

    def test_loading_leaves_the_global_generator_alone(self, monkeypatch):
        def download():
            torch.rand(5)
            return state_of("resnet18")

        monkeypatch.setitem(BACKBONES, "resnet18", replace(BACKBONES["resnet18"], imagenet=download))
        torch.manual_seed(1)
        encoder_from("resnet18", "imagenet")
        after = torch.rand(1)
        torch.manual_seed(1)
        assert torch.equal(after, torch.rand(1))

    @pytest.mark.parametrize("ask", [check_weights, weights_checksum])
    def test_an_encoder_that_has_none(self, ask):
        with pytest.raises(UserError, match="'small' has no ImageNet weights"):
            ask("small", "imagenet")


class TestChecksum:
    def test_follows_the_file(self, path):
        path.write_bytes(b"one")
        first = weights_checksum("small", str(path))
        path.write_bytes(b"two")
        assert weights_checksum("small", str(path)) != first
        assert weights_checksum("small", None) is None

    def test_names_downloads(self):
        names = {name: weights_checksum(name, "imagenet") for name in BACKBONES if name != "small"}
        assert names == {
            "resnet18": "torchvision:resnet18:IMAGENET1K_V1",
            "resnet50": "torchvision:resnet50:IMAGENET1K_V1",
            "res2net50": "timm:res2net50_26w_4s.in1k",
            "arm": "torchvision:resnet18:IMAGENET1K_V1",
        }

    def test_unknown_names(self, path):
        with pytest.raises(UserError, match="did you mean 'resnet18'"):
            weights_checksum("resnet_18", None)
        with pytest.raises(UserError, match="no such file"):
            weights_checksum("small", str(path))
