"""Attention maps: worked out by hand, against a second implementation, and at its edges."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.config.sections import Model
from raysweep.data.dataset import TEST
from raysweep.models import BACKBONES, Outputs, build_model
from raysweep.pipeline import CellResult, run_cell
from raysweep.pipeline.stages.attention import shrunk
from raysweep.store.store import Store
from raysweep.training import Trainer
from raysweep.training.augmentation import normalise
from raysweep.training.grad_cam import PER_CLASS, attention_maps, first_of_each, grad_cam
from tests.conftest import NO_PREDICTIONS, make_squares

SIZES = {"small": 48, "resnet18": 64, "arm": 224}


SIGNS = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])


class Tiny(nn.Module):
    """Feature maps, their mean, and one layer without bias: whatever is given counts as the feature maps."""

    def __init__(self, weights_KC, before=None):
        super().__init__()
        self.maps = before or nn.Identity()
        self.weights = nn.Parameter(torch.as_tensor(weights_KC))

    def forward(self, images):
        logits = self.maps(images).mean((2, 3)) @ self.weights.T
        return Outputs(logits, logits[:, :2], None)


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def lively(name, head="plain"):
    """A model in evaluation mode whose normalisations have seen images."""
    model = build_model(Model(backbone=name, weights=None, head=head), 4, seed=0)
    model(noise(2, 3, SIZES[name], SIZES[name], seed=9))
    return model.eval()


def layer_of(model, name):
    return model.encoder.get_submodule(BACKBONES[name].maps)


def second_opinion(model, name, image, k):
    """One image at a time in float64, by a full backward pass and plain loops. For a ResNet plain Grad-CAM."""
    model, kept = copy.deepcopy(model).double(), []

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)

    layer_of(model, name).register_forward_hook(keep)
    model(image[None].double()).logits[0, k].backward()
    maps, slopes = kept[0].detach()[0].numpy(), kept[0].grad[0].numpy()
    total = np.zeros(maps.shape[1:])
    for channel in range(len(maps)):
        mean = slopes[channel].sum() / slopes[channel].size
        total += (mean if name.startswith("res") else slopes[channel]) * maps[channel]
    return np.where(total > 0, total, 0)


@pytest.fixture(scope="module")
def model():
    return lively("small")


class TestByHand:
    IMAGE = torch.tensor([[[[1.0, 2], [3, 4]], [[4.0, 0], [0, 8]]]])

    def test_two_channels(self):
        model = Tiny([[1.0, -1.0], [0.0, 2.0]])
        # every derivative is weight / 4 places: class 0 sees (A0 - A1) / 4, class 1 sees A1 / 2
        maps = attention_maps(model, model.maps, self.IMAGE.repeat(2, 1, 1, 1), torch.tensor([0, 1]))
        assert maps.tolist() == [[[0, 0.5], [0.75, 0]], [[2, 0], [0, 4]]]

    def test_nothing_speaks_for_the_class(self):
        model = Tiny([[-1.0, -1.0], [0.0, 0.0]])
        maps = attention_maps(model, model.maps, self.IMAGE.repeat(2, 1, 1, 1), torch.tensor([0, 1]))
        assert maps.tolist() == [[[0, 0], [0, 0]]] * 2

    def test_weights_that_know_the_place(self):
        """A mean over places would leave nothing: +1 above, -1 below."""
        model = Tiny([[1.0]])
        model.forward = lambda images: Outputs((model.maps(images) * SIGNS).sum((2, 3)), images, None)
        assert attention_maps(model, model.maps, self.IMAGE[:, :1], torch.tensor([0])).tolist() == [[[1, 2], [0, 0]]]

    def test_one_place(self):
        model = Tiny([[3.0, 1.0]])
        assert attention_maps(model, model.maps, self.IMAGE[:, :, :1, :1], torch.tensor([0])).tolist() == [[[7]]]


class TestEveryEncoder:
    @pytest.mark.parametrize(("name", "head"), [(n, "plain") for n in SIZES] + [("small", "scn")])
    def test_second_opinion(self, name, head):
        model, images = lively(name, head), noise(3, 3, SIZES[name], SIZES[name])
        classes = torch.tensor([0, 3, 1])
        got = attention_maps(model, layer_of(model, name), images, classes)
        wanted = np.stack([second_opinion(model, name, image, k) for image, k in zip(images, classes, strict=True)])
        assert wanted.max() > 0
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-3, atol=1e-4 * wanted.max())

    @pytest.mark.parametrize("name", ["small", "arm"])
    def test_alone_or_in_a_batch(self, name):
        """Of ARM's two means over the batch neither is taken in evaluation."""
        model, images = lively(name), noise(3, 3, SIZES[name], SIZES[name])
        together = attention_maps(model, layer_of(model, name), images, torch.tensor([0, 3, 1]))
        alone = attention_maps(model, layer_of(model, name), images[1:2], torch.tensor([3]))
        torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5 * float(together.max()))


class TestProperties:
    def maps(self, model, images, classes=(0, 3, 1)):
        return attention_maps(model, layer_of(model, "small"), images, torch.tensor(classes))

    def test_scaled_logits_scale_the_maps(self, model):
        images, scaled = noise(3, 3, 48, 48), copy.deepcopy(model)
        with torch.no_grad():
            scaled.classifier.weight *= 2.5
            scaled.classifier.bias *= 2.5
        torch.testing.assert_close(self.maps(scaled, images), 2.5 * self.maps(model, images))

    def test_a_mirrored_image_has_a_mirrored_map(self):
        conv = nn.Conv2d(3, 6, 3, padding=1)
        with torch.no_grad():
            conv.weight.copy_(noise(6, 3, 3, 3) + noise(6, 3, 3, 3).flip(3))
        model, images = Tiny(noise(2, 6, seed=2), nn.Sequential(conv, nn.ReLU())), noise(4, 3, 8, 8, seed=3)
        classes = torch.tensor([0, 1, 0, 1])
        ours, theirs = (attention_maps(model, model.maps, x, classes) for x in (images, images.flip(3)))
        assert ours.max() > 0
        torch.testing.assert_close(theirs, ours.flip(2))

    def test_the_model_is_left_as_it_was(self, model):
        model = copy.deepcopy(model).train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with torch.no_grad():  # whoever calls
            first = self.maps(model, noise(3, 3, 48, 48))
        assert model.training
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
        assert not layer_of(model, "small")._forward_hooks
        assert torch.equal(self.maps(model, noise(3, 3, 48, 48)), first)  # bit for bit

    def test_an_average_is_what_it_averages(self, model):
        rows, labels = torch.arange(6), torch.arange(6) % 3

        def images(rows):
            return noise(6, 3, 48, 48)[rows]

        ours, theirs = (grad_cam(m, "small", rows, labels, images) for m in (model, AveragedModel(model)))
        assert ours.rows.tolist() == [0, 3, 1, 4, 2, 5]
        assert torch.equal(ours.maps, theirs.maps)
        assert torch.equal(ours.maps[1], self.maps(model, images(ours.rows), (0, 0, 1, 1, 2, 2))[1])

    def test_a_face_so_small_that_one_place_is_left(self, model):
        maps = self.maps(model, noise(3, 3, 8, 8))
        assert maps.shape == (3, 1, 1)
        assert maps.isfinite().all()


class TestChoice:
    def test_fewer_and_absent_classes(self):
        rows = torch.tensor([2, 4, 5, 8, 9])
        assert first_of_each(rows, torch.tensor([3, 0, 3, 3, 0]), most=2).tolist() == [4, 9, 2, 5]

    def test_no_test_image(self):
        nothing = torch.empty(0, dtype=torch.int64)
        looks = grad_cam(lively("small"), "small", nothing, nothing, lambda rows: noise(len(rows), 3, 48, 48))
        assert looks.maps.shape == (0, 6, 6)

    def test_pixels_are_shrunk_with_their_proportions(self):
        flat = torch.full((2, 3, 300, 150), 77, dtype=torch.uint8)
        assert shrunk(flat).shape == (2, 3, 112, 56)
        assert (shrunk(flat) == 77).all()
        assert shrunk(flat[:, :, :112, :100]).shape == (2, 3, 112, 100)


class TestProduct:
    @pytest.fixture
    def data(self):
        """Forty test images; class 3 has two, class 0 none."""
        data = make_squares(160)
        labels = data.labels.clone()
        test = data.rows(TEST)
        labels[test] = torch.tensor([1] * 18 + [2] * 20 + [3] * 2)
        return replace(data, labels=labels)

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_of_a_cell(self, quick, data, tmp_path, precision):
        experiment = quick.with_changes({"train.epochs": 2, "train.precision": precision, "labels.noise_rate": 0.0})
        run_cell(experiment, data, Store(tmp_path))
        (folder,) = (file.parent for file in tmp_path.rglob("attention.npz"))
        result = CellResult.read(folder)
        kept, test = result.attention, data.rows(TEST)
        assert kept.labels.tolist() == [1] * PER_CLASS + [2] * PER_CLASS + [3] * 2
        assert kept.rows.tolist() == [*test[:16].tolist(), *test[18:34].tolist(), *test[38:].tolist()]
        assert kept.shown.tolist() == [0, 1, 16, 17, 32, 33]
        assert (kept.pixels == data.images[kept.rows[kept.shown]].permute(0, 2, 3, 1).numpy()).all()
        of_row = dict(zip(result.predictions.rows.tolist(), result.predictions.probs, strict=True))
        assert (kept.probs == np.stack([of_row[row] for row in kept.rows.tolist()])).all()
        assert (kept.maps.shape, kept.maps.dtype) == ((34, 4, 4), np.float32)
        assert np.isfinite(kept.maps).all()
        assert kept.maps.min() >= 0
        trainer = Trainer(experiment, data)
        list(trainer.epochs())
        model = trainer.ready_model("swa")
        faces = normalise(data.images[kept.rows]).contiguous(memory_format=torch.channels_last)
        plain = model.module.eval()
        maps = attention_maps(plain, layer_of(plain, "small"), faces, torch.as_tensor(kept.labels))
        np.testing.assert_allclose(kept.maps, maps.numpy(), rtol=1e-4, atol=1e-6)  # other batches
        assert (trainer.finish().attention.maps.numpy() == kept.maps).all()

    def test_older_products_have_none(self, tmp_path):
        CellResult({}, {}, [], NO_PREDICTIONS, AdaptedLabels(target_labels=np.arange(3))).write(tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == {"result.json", "predictions.npz", "labels.npz"}
        older = CellResult.read(tmp_path)
        assert older.attention is older.faces is older.validation is None
