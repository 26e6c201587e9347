"""The engine against a plain loop: the same mathematics, bit for bit where the kernels are the same."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from hal.params import Cell
from hal.train import loop
from hal.train.batches import DeviceData, draw_epoch
from hal.train.cell import build_network
from hal.train.device import configure
from hal.train.evaluate import Evaluation
from hal.train.graph import captured
from hal.train.loop import Trainer
from hal.train.schedule import learning_rates
from tests.tiny import tiny_images, tiny_params

CPU = torch.device("cpu")


def a_cell(tmp_path, case: str = "threes", **train: object) -> Cell:
    params = tiny_params(tmp_path, **({"epochs": 2} | train))
    cell = params.cell("tiny", case, 0)
    configure(params.runtime, cell.train.precision)
    return cell


def a_trainer(cell: Cell, device: torch.device = CPU) -> Trainer:
    data = DeviceData(tiny_images(), [0.3], [0.2], cell, device)
    return Trainer(build_network(cell, 1).to(device, memory_format=torch.channels_last), data, cell.train)


def by_the_engine(trainer: Trainer, cell: Cell) -> list[float]:
    """Train to the last epoch; the losses of all steps."""
    losses = []
    for epoch, rates in enumerate(learning_rates(cell.train, 4)):
        trainer.epoch(draw_epoch(cell.seed, epoch, 70, 16, cell.augment), rates, lambda: None)
        losses += trainer.losses.tolist()
    return losses


def by_a_plain_loop(cell: Cell) -> tuple[torch.nn.Module, list[float]]:
    """What anybody would write from section 4: one image at a time through the augmentation, PyTorch's SGD."""
    images = tiny_images()
    pad, side = cell.augment.pad, images.train_images.shape[1]
    net = build_network(cell, 1).to(memory_format=torch.channels_last).train()
    settings = cell.train
    optimizer = torch.optim.SGD(
        net.parameters(), lr=1.0, momentum=settings.momentum, weight_decay=settings.weight_decay, fused=True
    )
    superclass = {k: j for j, classes in enumerate(cell.superclasses) for k in classes}
    losses = []
    for epoch, rates in enumerate(learning_rates(settings, 4)):
        draw = draw_epoch(cell.seed, epoch, 70, 16, cell.augment)
        for step, rate in enumerate(rates):
            batch = []
            for i, top, left, flip in zip(
                draw.image[step], draw.top[step], draw.left[step], draw.flip[step], strict=True
            ):
                padded = np.pad(images.train_images[i], ((pad, pad), (pad, pad), (0, 0)))
                crop = padded[top : top + side, left : left + side]
                batch.append(crop[:, ::-1] if flip else crop)
            scale, shift = np.float32(1 / (255 * 0.2)), np.float32(-0.3 / 0.2)
            x = torch.from_numpy(np.stack(batch) * scale + shift).permute(0, 3, 1, 2)
            labels = torch.from_numpy(images.train_labels[draw.image[step]]).long()
            x_star = None
            if superclass:
                x_star = torch.zeros(16, len(cell.superclasses))
                for row, label in enumerate(labels.tolist()):
                    x_star[row, superclass[label]] = 1
            for group in optimizer.param_groups:
                group["lr"] = float(np.float32(rate))
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bfloat16"):
                logits = net(x, x_star).float()
                loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return net, losses


@pytest.mark.parametrize("case", ["baseline", "threes"])
@pytest.mark.parametrize(
    "train",
    [{}, {"momentum": 0.9, "weight_decay": 0.001}, {"precision": "bfloat16"}, {"cosine": "epoch"}],
    ids=["plain", "momentum", "bfloat16", "per epoch"],
)
def test_the_engine_trains_as_a_plain_loop_does_bit_for_bit(tmp_path, case, train):
    cell = a_cell(tmp_path, case, **train)
    trainer = a_trainer(cell)
    losses = by_the_engine(trainer, cell)
    net, expected = by_a_plain_loop(cell)
    assert losses == expected
    assert len(set(losses)) == len(losses) == 8
    ours, theirs = trainer.net.state_dict(), net.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_error_of_a_step_counts_its_misclassified_images(tmp_path):
    cell = a_cell(tmp_path, "baseline")
    trainer = a_trainer(cell)
    draw = draw_epoch(cell.seed, 0, 70, 16, cell.augment)
    before = copy.deepcopy(trainer.net)
    trainer.epoch(draw, np.zeros(4), lambda: None)  # a rate of 0: the weights stay
    for step in range(4):
        x = trainer.data.normalise(trainer.data.training_images(draw)[step])
        with torch.no_grad():
            wrong = before.train()(x).argmax(dim=1) != trainer.data.training_labels(draw)[step]
        assert trainer.wrong[step] == wrong.sum()


class Waiting(TorchDispatchMode):
    """Refuses what makes the host wait for a device, or depends on what a tensor holds."""

    REFUSED = ("_local_scalar_dense", "nonzero", "masked_select", "item", "is_nonzero", "equal", "unique")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name.lstrip("_") not in [refused.lstrip("_") for refused in self.REFUSED], name
        return function(*args, **(kwargs or {}))


def test_nothing_within_a_step_or_a_test_waits_for_the_device(tmp_path):
    """A wait would cost more than the step, and forbid a graph."""
    cell = a_cell(tmp_path, precision="bfloat16")
    trainer = a_trainer(cell)
    evaluation = Evaluation(trainer.net, trainer.data, trainer.autocast)
    with Waiting():
        trainer.step()
        evaluation.launch()
    with pytest.raises(AssertionError, match="_local_scalar_dense"), Waiting():
        trainer.losses.sum().item()


def test_all_that_a_step_and_a_test_touch_lies_on_the_gpu(tmp_path, monkeypatch):
    """PyTorch's fake tensors know devices that this machine lacks; they refuse to mix two."""
    cell = a_cell(tmp_path)
    cuda, net = torch.device("cuda", 0), build_network(cell, 1)
    updates = []
    monkeypatch.setattr(loop, "captured", lambda function, device, changes: function)
    monkeypatch.setattr("hal.train.evaluate.captured", lambda function, device, changes: function)
    monkeypatch.setattr(loop, "update", lambda parameters, buffers, rate, settings: updates.append(rate))
    monkeypatch.setattr(torch.Tensor, "backward", lambda self: None)  # the engine of gradients needs a driver
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in net.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    module._parameters[name] = torch.nn.Parameter(torch.empty(parameter.shape, device=cuda))
            for name, buffer in module._buffers.items():
                module._buffers[name] = torch.empty(buffer.shape, device=cuda)
        data = DeviceData(tiny_images(), [0.3], [0.2], cell, cuda)
        trainer = Trainer(net, data, cell.train)
        trainer.epoch(draw_epoch(0, 0, 70, 16, cell.augment), np.zeros(4), lambda: None)
        evaluation = Evaluation(net, data, trainer.autocast)
        evaluation.launch()
    assert [(rate.device, rate.shape) for rate in updates] == 4 * [(cuda, (1,))]
    assert trainer.losses.device == trainer.wrong.device == evaluation.loss.device == cuda


def test_on_a_cpu_the_function_itself_is_what_runs():
    def function() -> None:
        raise AssertionError("a capture on the CPU would run it")

    assert captured(function, CPU, []) is function


def test_a_setting_that_changes_the_update_changes_the_weights(tmp_path):
    """Or the bit-for-bit test above could compare two loops that both ignore it."""
    trained = []
    for i, train in enumerate([{}, {"momentum": 0.9}, {"weight_decay": 0.1}, {"precision": "bfloat16"}]):
        cell = a_cell(tmp_path / str(i), **train)
        trainer = a_trainer(cell)
        by_the_engine(trainer, cell)
        trained.append(trainer.net.output.weight.detach())
    assert all(not torch.equal(trained[0], other) for other in trained[1:])


@pytest.mark.cuda
class TestCuda:
    GPU = torch.device("cuda", 0)

    @pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
    def test_a_replayed_graph_gives_the_bytes_of_the_same_kernels_launched_one_by_one(
        self, tmp_path, precision
    ):
        cell = a_cell(tmp_path, momentum=0.9, precision=precision)
        replayed, launched = a_trainer(cell, self.GPU), a_trainer(cell, self.GPU)
        launched.launch = launched.step
        assert by_the_engine(replayed, cell) == by_the_engine(launched, cell)
        ours, theirs = replayed.net.state_dict(), launched.net.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)

    def test_the_gpu_follows_the_plain_loop_step_by_step(self, tmp_path):
        """Kernels differ in the order of their sums, and a ReLU may make much of a last bit after some steps."""
        cell = a_cell(tmp_path)
        ours, plain = by_the_engine(a_trainer(cell, self.GPU), cell), by_a_plain_loop(cell)[1]
        assert ours[:2] == pytest.approx(plain[:2], rel=1e-4)
        assert ours == pytest.approx(plain, rel=0.05)

    def test_a_capture_changes_nothing(self, tmp_path):
        cell = a_cell(tmp_path, momentum=0.9)
        trainer, fresh = a_trainer(cell, self.GPU), build_network(cell, 1).state_dict()
        assert all(
            torch.equal(tensor.cpu(), fresh[name]) for name, tensor in trainer.net.state_dict().items()
        )
        assert all(not buffer.any() for buffer in trainer.momentum_buffers)
        assert not trainer.losses.any()

    def test_the_test_error_is_the_same_with_and_without_a_graph(self, tmp_path):
        trainer = a_trainer(a_cell(tmp_path), self.GPU)
        evaluation = Evaluation(trainer.net, trainer.data, trainer.autocast)
        replayed = evaluation.error_and_loss()
        evaluation.launch = evaluation.measure
        assert evaluation.error_and_loss() == replayed

    def test_a_cell_beside_others_on_the_gpu_trains_as_it_does_alone(self, tmp_path):
        cells = [
            dataclasses.replace(a_cell(tmp_path / str(seed)), seed=seed, train=a_cell(tmp_path).train)
            for seed in range(3)
        ]
        alone = [by_the_engine(a_trainer(cell, self.GPU), cell) for cell in cells]
        streams = [torch.cuda.Stream() for _ in cells]
        trainers = []
        for cell, stream in zip(cells, streams, strict=True):
            with torch.cuda.stream(stream):
                trainers.append(a_trainer(cell, self.GPU))
        torch.cuda.synchronize()
        for epoch in range(2):
            for cell, stream, trainer in zip(cells, streams, trainers, strict=True):
                with torch.cuda.stream(stream):  # returns when launched: the next one runs beside it
                    rates = learning_rates(cell.train, 4)[epoch]
                    trainer.epoch(draw_epoch(cell.seed, epoch, 70, 16, cell.augment), rates, lambda: None)
        torch.cuda.synchronize()
        assert [trainer.losses.tolist() for trainer in trainers] == [losses[4:] for losses in alone]
