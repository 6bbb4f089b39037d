"""Encoders and the multi-task model: shapes, parameter counts, gradients, seeds, heads."""

import numpy as np
import pytest
import torch

from raysweep.config.sections import Model
from raysweep.models import BACKBONES, Outputs, build_model
from raysweep.training import weights_hash

SMALL = Model(backbone="small", weights=None)
SIZES = {"small": 48, "resnet18": 64, "resnet50": 64, "res2net50": 64, "arm": 224}

MAPS = {
    "small": (64, 6, 6),
    "resnet18": (512, 2, 2),
    "resnet50": (2048, 2, 2),
    "res2net50": (2048, 2, 2),
    "arm": (512, 7, 7),
}

COUNTS = {
    "small": 246_160,
    "resnet18": 11_689_512 - 513_000,  # torchvision's less its classifier
    "resnet50": 25_557_032 - 2_049_000,
    "res2net50": 25_699_120 - 2_049_000,  # timm's less its classifier
    "arm": 11_176_512 + 1024 + 4 + 1,
}

PLAIN_SEED_0 = {  # as they were before there were other heads: products in stores depend on them
    "small": "d0d1c8a41fd512d355741dc36e7f5a19b8d78596482e89a2beeaecb319ed1ffe",
    "resnet18": "7209353b850655006a7ded60b3592587af3f92a6da45a83d400ccf12088f0e83",
}


@pytest.fixture(params=sorted(BACKBONES))
def backbone(request):
    return request.param


def faces(name, count=2):
    return torch.randn(count, 3, SIZES[name], SIZES[name], generator=torch.Generator().manual_seed(3))


class TestEveryBackbone:
    def test_count_of_parameters(self, backbone):
        assert sum(p.numel() for p in BACKBONES[backbone].build().parameters()) == COUNTS[backbone]

    def test_shapes_and_gradients(self, backbone):
        model = build_model(Model(backbone=backbone, weights=None, head="scn"), 8, seed=0)
        for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            torch.nn.init.ones_(norm.weight)  # timm starts the last norm of a block at 0: no gradient behind it yet
        features = []
        model.encoder.register_forward_hook(lambda module, inputs, output: features.append(output.shape))
        logits, affect, importance = model(faces(backbone))
        assert features == [(2, BACKBONES[backbone].features)]
        assert (logits.shape, affect.shape, importance.shape) == ((2, 8), (2, 2), (2,))
        (logits.square().sum() + affect.square().sum()).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        assert all(p.grad.count_nonzero() for name, p in model.named_parameters() if name.startswith("encoder"))

    def test_maps_have_places(self, backbone):
        encoder, seen = BACKBONES[backbone].build().eval(), []
        part = encoder.get_submodule(BACKBONES[backbone].maps)
        part.register_forward_hook(lambda module, inputs, output: seen.append(output))
        with torch.no_grad():
            features = encoder(faces(backbone))
        assert tuple(seen[0].shape) == (2, *MAPS[backbone])
        if backbone.startswith("res"):
            torch.testing.assert_close(seen[0].mean((2, 3)), features)

    def test_deterministic_algorithms_are_enough(self, backbone):
        model, images = build_model(Model(backbone=backbone, weights=None), 4, seed=0), faces(backbone)
        torch.use_deterministic_algorithms(True)
        try:
            model(images).logits.square().sum().backward()
        finally:
            torch.use_deterministic_algorithms(False)

    def test_a_prediction_does_not_depend_on_its_neighbours(self, backbone):
        model = build_model(Model(backbone=backbone, weights=None), 4, seed=0)
        images = faces(backbone, count=3)
        model(images)  # one training step's worth of running statistics
        model.eval()
        with torch.inference_mode():
            alone = model(images[:1])
            for others in ([0, 1], [0, 1, 2], [0, 2, 2]):
                together = model(images[others])
                torch.testing.assert_close(together.logits[:1], alone.logits, rtol=1e-5, atol=1e-5)
                torch.testing.assert_close(together.affect[:1], alone.affect, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [32, 48, 64, 97])
def test_the_small_encoder_takes_many_sizes(size):
    assert BACKBONES["small"].build()(torch.randn(2, 3, size, size)).shape == (2, 128)


def test_initial_weights_follow_the_seed_alone():
    torch.manual_seed(1)
    one = build_model(SMALL, 8, seed=5)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))  # the global generator is left as it was
    torch.manual_seed(2)
    assert weights_hash(one.state_dict()) == weights_hash(build_model(SMALL, 8, seed=5).state_dict())
    assert weights_hash(one.state_dict()) != weights_hash(build_model(SMALL, 8, seed=6).state_dict())


@pytest.mark.parametrize("name", sorted(PLAIN_SEED_0))
@pytest.mark.parametrize("affect", ["tanh", "linear"])
def test_initial_weights_of_the_plain_model_have_not_moved(name, affect):
    state = build_model(Model(backbone=name, weights=None, affect=affect), 8, seed=0).state_dict()
    assert weights_hash(state) == PLAIN_SEED_0[name]


class TestHeads:
    def test_plain_has_no_importance(self):
        out = build_model(SMALL, 8, seed=0)(faces("small"))
        assert isinstance(out, Outputs)
        assert out.importance is None

    def test_affect_ends_with_tanh_or_with_nothing(self):
        images = faces("small")
        tanh, linear = (
            build_model(SMALL.model_copy(update={"affect": end}), 8, seed=0).eval() for end in ("tanh", "linear")
        )
        with torch.no_grad():
            linear.affect.bias += 2
            tanh.affect.bias += 2
            torch.testing.assert_close(tanh(images).affect, torch.tanh(linear(images).affect))
            assert (linear(images).affect > 1).any()
            torch.testing.assert_close(linear(images).affect, linear.affect(linear.encoder(images)))

    def test_scn_adds_one_layer_after_the_plain_ones(self):
        plain = build_model(SMALL, 8, seed=0).state_dict()
        scn = build_model(SMALL.model_copy(update={"head": "scn"}), 8, seed=0).state_dict()
        added = {"importance.weight": (1, 128), "importance.bias": (1,)}
        assert {name: tuple(scn[name].shape) for name in set(scn) - set(plain)} == added
        assert weights_hash({name: scn[name] for name in plain}) == weights_hash(plain)

    @pytest.mark.parametrize("training", [True, False])
    def test_scn_weighs_the_logits_and_not_the_affect(self, training):
        model = build_model(SMALL.model_copy(update={"head": "scn"}), 8, seed=0).train(training)
        seen = []
        model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
        with torch.no_grad():
            out = model(faces("small", count=5))
        value = {name: parameter.detach().double().numpy() for name, parameter in model.named_parameters()}
        for row, x in enumerate(seen[0].double().numpy()):
            importance = 1 / (1 + np.exp(-(value["importance.weight"][0] @ x + value["importance.bias"][0])))
            scores = value["classifier.weight"] @ x + value["classifier.bias"]
            affect = np.tanh(value["affect.weight"] @ x + value["affect.bias"])
            assert 0 < importance < 1
            assert out.importance[row].item() == pytest.approx(importance, abs=1e-5)
            assert out.logits[row].numpy() == pytest.approx(importance * scores, abs=1e-5)
            assert out.affect[row].numpy() == pytest.approx(affect, abs=1e-5)
