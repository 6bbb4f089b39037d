"""ARM: its forward pass worked out by hand, its running mean, its sizes."""

import copy

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, update_bn

from raysweep.config.acting_fields import acting_fields
from raysweep.config.experiment import Experiment
from raysweep.config.sections import Model
from raysweep.core.errors import UserError
from raysweep.models import ARM, build_model, fresh_affinity
from raysweep.models.arm import SharingAffinity


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def trained():
    """An ARM in evaluation mode that has seen three batches and whose own parameters have moved."""
    torch.manual_seed(4)
    module = ARM()
    with torch.no_grad():
        module.affinity.alpha.fill_(0.7)
        module.norm.weight.copy_(torch.tensor([1.5, 0.6]))
        module.norm.bias.copy_(torch.tensor([0.2, -0.4]))
        for seed in range(3):
            module(noise(2, 3, 224, 224, seed=seed))
    return module.eval()


def amended(trunk_maps, kernel):
    """(512, 7, 7) to (2, 11, 11) by the definition of each step, before the normalisation."""
    shuffled = np.zeros((2, 112, 112))
    for channel in range(512):
        half, place = divmod(channel, 256)
        down, right = divmod(place, 16)
        shuffled[half, down::16, right::16] = trunk_maps[channel]
    maps = np.zeros((2, 11, 11))
    for half in range(2):
        for i in range(11):
            for j in range(11):
                maps[half, i, j] = (shuffled[half, 8 * i : 8 * i + 32, 8 * j : 8 * j + 32] * kernel).sum()
    return maps


def normalised(maps_2HW, mean_2, var_2, module):
    scale = module.norm.weight.detach().double().numpy() / np.sqrt(var_2 + module.norm.eps)
    return (maps_2HW - mean_2[:, None, None]) * scale[:, None, None] + module.norm.bias.detach().double().numpy()[
        :, None, None
    ]


class TestByHand:
    def test_evaluation(self, trained):
        image = noise(1, 3, 224, 224, seed=8)
        with torch.no_grad():
            trunk, got = trained.trunk(image)[0].double().numpy(), trained(image)[0]
        maps = amended(trunk, trained.de_albino.weight.detach()[0, 0].double().numpy())
        mean, var = (getattr(trained.norm, name).double().numpy() for name in ("running_mean", "running_var"))
        expected = normalised(maps, mean, var, trained).mean(0) + 0.7 * trained.affinity.running_mean.numpy()
        assert got.numpy() == pytest.approx(expected.ravel(), abs=1e-4)
        assert np.abs(trained.affinity.running_mean.numpy()).max() > 0.01  # or the second term says nothing

    def test_training(self, trained):
        module, images = copy.deepcopy(trained).train(), noise(3, 3, 224, 224, seed=8)
        with torch.no_grad():
            trunk = copy.deepcopy(module.trunk)(images).double().numpy()
            got = module(images)
        kernel = module.de_albino.weight.detach()[0, 0].double().numpy()
        maps = np.stack([amended(one, kernel) for one in trunk])
        mean, var = maps.mean((0, 2, 3)), maps.var((0, 2, 3))
        maps = np.stack([normalised(one, mean, var, module) for one in maps])
        expected = maps.mean(1) + 0.7 * maps.mean((0, 1))
        assert got.numpy() == pytest.approx(expected.reshape(3, 121), abs=1e-4)


class TestModes:
    def test_training_depends_on_the_neighbours(self, trained):
        module, images = copy.deepcopy(trained), noise(3, 3, 224, 224, seed=8)
        module.affinity.train()  # batch normalisation stays in evaluation mode: the affinity alone is asked
        with torch.no_grad():
            assert (module(images)[:1] - module(images[:1])).abs().max() > 1e-2

    def test_evaluation_does_not(self, trained):
        images = noise(4, 3, 224, 224, seed=8)
        before = trained.affinity.running_mean.clone()
        with torch.no_grad():
            for count in (1, 2, 4):
                torch.testing.assert_close(trained(images[:count])[0], trained(images[:1])[0], rtol=0, atol=1e-5)
        assert torch.equal(trained.affinity.running_mean, before)

    @pytest.mark.parametrize("trainable", [True, False])
    def test_alpha(self, trainable):
        torch.manual_seed(0)
        module = ARM(trainable_alpha=trainable)
        assert module.affinity.alpha.item() == 1
        module(noise(2, 3, 224, 224)).square().sum().backward()
        missing = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.count_nonzero()]
        assert missing == ([] if trainable else ["affinity.alpha"])

    @pytest.mark.parametrize("how", ["learnt", "fixed"])
    def test_alpha_by_the_field(self, how):
        """Same initial weights either way; an optimiser leaves the fixed one at 1, weight decay or not."""
        models = [build_model(Model(backbone="arm", weights=None, arm_alpha=h), 7, seed=3) for h in (how, "learnt")]
        states = [model.state_dict() for model in models]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
        model = models[0].train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)
        model(noise(2, 3, 224, 224)).logits.square().sum().backward()
        optimizer.step()
        assert (model.encoder.affinity.alpha.item() == 1) == (how == "fixed")

    def test_other_encoders_have_no_alpha(self):
        fields = [
            acting_fields(Experiment().with_changes({"model.backbone": name, "model.arm_alpha": "fixed"}))
            for name in ("resnet18", "small", "arm")
        ]
        assert ["model.arm_alpha" in found for found in fields] == [False, False, True]

    def test_bfloat16_keeps_its_running_mean_in_float32(self):
        module = SharingAffinity(3)
        with torch.autocast("cpu", torch.bfloat16):
            module(noise(4, 2, 3, 3).bfloat16())
            assert module.eval()(noise(1, 2, 3, 3).bfloat16()).isfinite().all()
        assert module.running_mean.dtype == torch.float32

    @pytest.mark.full
    def test_bfloat16_keeps_it_in_the_whole_encoder_too(self):
        torch.manual_seed(0)
        module = ARM()
        with torch.autocast("cpu", torch.bfloat16):
            module(noise(2, 3, 224, 224)).float().square().sum().backward()
            assert module.eval()(noise(1, 3, 224, 224)).isfinite().all()
        assert module.affinity.running_mean.dtype == torch.float32


class TestSharingAffinity:
    def test_gradients(self):
        module = SharingAffinity(3).double()
        maps = noise(4, 2, 3, 3).double().requires_grad_()
        assert torch.autograd.gradcheck(module, maps)  # through the shared mean as well
        assert torch.autograd.gradcheck(module.eval(), maps)

    def test_running_mean(self):
        module, batches = SharingAffinity(3), [noise(4, 2, 3, 3, seed=seed) for seed in range(4)]
        means = [batch.mean((0, 1)) for batch in batches]
        module(batches[0])
        torch.testing.assert_close(module.running_mean, means[0])  # the first batch sets it
        expected = means[0]
        for batch, mean in zip(batches[1:], means[1:], strict=True):
            module(batch)
            expected = 0.9 * expected + 0.1 * mean
            torch.testing.assert_close(module.running_mean, expected)
        assert not module.running_mean.requires_grad
        module.eval()(batches[0])
        torch.testing.assert_close(module.running_mean, expected)
        assert module.num_batches_tracked == 4

    def test_a_resumed_run_goes_on_as_the_other(self):
        one, other, batches = SharingAffinity(3), SharingAffinity(3), [noise(4, 2, 3, 3, seed=s) for s in range(2)]
        one(batches[0])
        other.load_state_dict(one.state_dict())
        one(batches[1])
        other(batches[1])
        assert torch.equal(one.running_mean, other.running_mean)

    def test_fresh_affinity_counts_all_batches_alike_beside_update_bn(self):
        batches = [noise(4, 2, 3, 3, seed=seed) for seed in range(3)]
        model = torch.nn.Sequential(torch.nn.BatchNorm2d(2), SharingAffinity(3))
        model(noise(4, 2, 3, 3, seed=9) + 5)
        average = AveragedModel(model)
        average.update_parameters(model)
        with fresh_affinity(average):
            update_bn(batches, average)
        maps = [torch.nn.functional.batch_norm(batch, None, None, training=True) for batch in batches]
        expected = torch.stack([m.mean((0, 1)) for m in maps]).mean(0)
        torch.testing.assert_close(average.module[1].running_mean, expected)
        assert average.module[1].momentum == 0.1


class TestSizes:
    @pytest.mark.parametrize("size", [193, 208])
    def test_whatever_gives_the_same_maps(self, trained, size):
        with torch.no_grad():
            assert trained(noise(1, 3, size, size)).shape == (1, 121)

    @pytest.mark.parametrize("shape", [(32, 32), (48, 48), (192, 192), (225, 225), (256, 256), (224, 192), (64, 1984)])
    def test_others_are_refused(self, trained, shape):
        rule = f"`image_size = 224` must hold .*121 features.* but got {shape[0]} x {shape[1]}"
        with pytest.raises(UserError, match=rule):
            trained(torch.zeros(1, 3, *shape))
