"""Encoders and the multi-task model: shapes, parameter counts, seeds, and weights by path."""

import pytest
import torch

from raysweep.core.errors import UserError
from raysweep.core.experiment import Model
from raysweep.models import BACKBONES, build_model
from raysweep.models.backbones import weights_checksum
from raysweep.training import weights_hash

SMALL = Model(backbone="small", weights=None)


@pytest.mark.parametrize(("name", "count"), [("small", 246_160), ("resnet18", 11_176_512)])
def test_parameter_counts(name, count):
    # resnet18: torchvision's 11,689,512 less the 513,000 of its classifier
    assert sum(p.numel() for p in BACKBONES[name].build().parameters()) == count


@pytest.mark.parametrize(
    ("name", "size"), [("small", 32), ("small", 48), ("small", 64), ("small", 97), ("resnet18", 64)]
)
def test_shapes_and_ranges(name, size):
    model = build_model(Model(backbone=name, weights=None), 8, seed=0)
    logits, affect = model(torch.randn(3, 3, size, size))
    assert logits.shape == (3, 8)
    assert affect.shape == (3, 2)
    assert (affect.detach().abs() < 1).all()
    (logits.sum() + affect.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_initial_weights_follow_the_seed_alone():
    torch.manual_seed(1)
    one = build_model(SMALL, 8, seed=5)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))  # the global generator is left as it was
    torch.manual_seed(2)
    assert weights_hash(one.state_dict()) == weights_hash(build_model(SMALL, 8, seed=5).state_dict())
    assert weights_hash(one.state_dict()) != weights_hash(build_model(SMALL, 8, seed=6).state_dict())


@pytest.mark.parametrize("prefix", ["", "module.", "encoder.", "module.encoder."])
def test_a_checkpoint_by_path(tmp_path, prefix):
    source = build_model(SMALL, 8, seed=9).encoder.state_dict()
    path = tmp_path / "encoder.pth"
    torch.save({"state_dict": {prefix + name: value for name, value in source.items()}}, path)
    model = build_model(Model(backbone="small", weights=str(path)), 8, seed=0)
    assert weights_hash(model.encoder.state_dict()) == weights_hash(source)


def test_the_checksum_follows_the_file(tmp_path):
    path = tmp_path / "encoder.pth"
    path.write_bytes(b"one")
    first = weights_checksum("small", str(path))
    path.write_bytes(b"two")
    assert weights_checksum("small", str(path)) != first
    assert weights_checksum("small", None) is None
    with pytest.raises(UserError, match="did you mean 'resnet18'"):
        weights_checksum("resnet", None)


def test_a_pickle_of_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("code ran",)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="cannot be read as a checkpoint of tensors"):
        build_model(Model(backbone="small", weights=str(tmp_path / "evil.pth")), 8, seed=0)
