"""Exits and AdaLoss inside other people's training loops: the book's page *Works with* lists these tests."""

import copy
import os

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from anytime_core import AdaLoss, ResANN, cross_entropy_per_exit, decoder_with_exits, generate
from anytime_core.weighting.static import const
from tests.core.decoders import VOCABULARY, hugging_face, small_decoder, tokens

# Each step is the same one in a loop of one's own: one thread of a CPU, one process
STEPS = 4


def texts(count=16, length=9):
    """Texts in which each token is the one before it plus one: easy to learn."""
    starts = torch.arange(count)[:, None]
    return (starts + torch.arange(length)) % VOCABULARY


def small_net():
    torch.manual_seed(0)
    return ResANN(n=1, c=4, num_classes=3, in_channels=1)


def batches(count=STEPS, size=8):
    draw = torch.Generator().manual_seed(0)
    return [
        (torch.randn(size, 1, 8, 8, generator=draw), torch.randint(3, (size,), generator=draw)) for _ in range(count)
    ]


def plain_loop(net, weigh, data):
    """What every other loop is compared with."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for images, labels in data:
        optimiser.zero_grad()
        weigh(cross_entropy_per_exit(net(images), labels)).backward()
        optimiser.step()
    return net.state_dict(), weigh.state_dict()


def assert_same(found, expected):
    for mine, theirs in zip(found, expected, strict=True):
        for name, value in theirs.items():
            torch.testing.assert_close(mine[name], value, msg=lambda text, name=name: f"{name}: {text}")


class LanguageModel(nn.Module):
    """What Hugging Face's Trainer takes: labels in, ``loss`` out; padding is -100."""

    def __init__(self):
        super().__init__()
        self.net = decoder_with_exits(hugging_face("Llama"), at=[2])
        self.weigh = AdaLoss(self.net.num_exits, refresh_period=2)

    def forward(self, input_ids, labels):
        losses = cross_entropy_per_exit(self.net(input_ids[:, :-1]), labels[:, 1:], ignore_index=-100)
        return {"loss": self.weigh(losses)}


def test_hugging_faces_trainer_trains_exits_on_a_causal_model(tmp_path):
    pytest.importorskip("accelerate", reason="of the extra dev")
    from transformers import Trainer, TrainingArguments

    ids = texts()
    labels = torch.where(torch.arange(ids.shape[1]) > 6, -100, ids)  # as if the texts ended earlier
    model = LanguageModel()
    before = cross_entropy_per_exit(model.net(ids[:, :-1]), ids[:, 1:])
    quiet = {"report_to": "none", "logging_strategy": "no", "save_strategy": "no", "disable_tqdm": True}
    arguments = TrainingArguments(
        str(tmp_path), max_steps=40, per_device_train_batch_size=8, learning_rate=0.01, use_cpu=True, **quiet
    )
    data = [{"input_ids": one, "labels": label} for one, label in zip(ids, labels, strict=True)]
    Trainer(model, arguments, train_dataset=data).train()
    after = cross_entropy_per_exit(model.net.eval()(ids[:, :6]), ids[:, 1:7])
    assert (after < before / 2).all()
    assert model.weigh.step == 40
    written = [token.item() for token, _ in generate(model.net, ids[:1, :3], 3, exit=1)]
    assert len(written) == 3


def test_lightning_accumulates_gradients():
    pl = pytest.importorskip("lightning.pytorch", reason="of the extra dev")

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.weigh = small_net(), AdaLoss(3, refresh_period=2)

        def training_step(self, batch):
            images, labels = batch
            return self.weigh(cross_entropy_per_exit(self.net(images), labels))

        def configure_optimizers(self):
            return torch.optim.SGD(self.net.parameters(), lr=0.1)

    images, labels = (torch.cat(parts) for parts in zip(*batches(8), strict=True))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", accumulate_grad_batches=2, enable_model_summary=False, **quiet
    )
    module = Module()
    trainer.fit(module, DataLoader(TensorDataset(images, labels), batch_size=8))
    assert (trainer.global_step, int(module.weigh.step)) == (4, 8)  # AdaLoss counts batches, not steps
    assert {"weigh.average", "weigh.weights"} <= module.state_dict().keys()


def test_accelerate_does_what_a_plain_loop_does():
    accelerate = pytest.importorskip("accelerate", reason="of the extra dev")
    expected = plain_loop(small_net(), AdaLoss(3, refresh_period=2), batches())
    accelerator = accelerate.Accelerator(cpu=True)
    net, weigh = small_net(), AdaLoss(3, refresh_period=2)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net, optimiser = accelerator.prepare(net, optimiser)
    for images, labels in batches():
        optimiser.zero_grad()
        accelerator.backward(weigh(cross_entropy_per_exit(net(images), labels)))
        optimiser.step()
    assert_same((accelerator.unwrap_model(net).state_dict(), weigh.state_dict()), expected)


def test_amp_with_a_grad_scaler_trains_a_network():
    net, weigh = small_net(), AdaLoss(3, refresh_period=2)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for images, labels in batches():
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(images)
        scaler.scale(weigh(cross_entropy_per_exit(logits.float(), labels))).backward()
        scaler.step(optimiser)
        scaler.update()
    assert logits.dtype == torch.bfloat16
    assert weigh.average.dtype == torch.float32
    expected = plain_loop(small_net(), AdaLoss(3, refresh_period=2), batches())
    for name, value in expected[1].items():
        torch.testing.assert_close(weigh.state_dict()[name], value, rtol=0.05, atol=0.05)


def test_accumulated_gradients_are_those_of_the_whole_batch():
    net = small_net().eval()  # batch norm would look at each part by itself
    whole, (images, labels) = copy.deepcopy(net), batches(1)[0]
    const(3)(cross_entropy_per_exit(whole(images), labels)).backward()
    weigh, counted = const(3), AdaLoss(3, refresh_period=2)
    for part in (slice(0, 4), slice(4, 8)):
        losses = cross_entropy_per_exit(net(images[part]), labels[part])
        counted(losses.detach())
        (weigh(losses) / 2).backward()
    for mine, theirs in zip(net.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    assert counted.step == 2  # its average takes in every part


def test_a_whole_step_compiles_with_the_weighting_in_it():
    def step(net, weigh, inputs, labels):
        return weigh(cross_entropy_per_exit(net(inputs), labels))

    torch.compiler.reset()
    compiled = torch.compile(step, fullgraph=True, backend="eager")
    ids = tokens(2, 6)
    for make, inputs, labels in (
        (small_net, *batches(1)[0]),
        (lambda: decoder_with_exits(small_decoder()), ids[:, :-1], ids[:, 1:]),
    ):
        found = []
        for call in (step, compiled):
            net = make()
            weigh = AdaLoss(net.num_exits, refresh_period=2).to(inputs.device)
            call(net.to(inputs.device), weigh, inputs, labels).backward()
            found.append([parameter.grad for parameter in net.parameters()])
        for mine, theirs in zip(*found, strict=True):
            torch.testing.assert_close(mine, theirs)


def test_two_processes_train_a_decoder_as_one_does(tmp_path):
    import torch.multiprocessing as mp

    mp.spawn(_half, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    net, weigh, optimiser = _decoder_in_training(None)
    for ids in texts().split(8):
        _step(net, weigh, optimiser, ids)
    for name, value in net.state_dict().items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value)


def _decoder_in_training(group):
    net = decoder_with_exits(small_decoder().cpu(), at=[2])
    weigh = AdaLoss(net.num_exits, refresh_period=1, process_group=group)
    return net, weigh, torch.optim.SGD(net.parameters(), lr=0.01)


def _step(net, weigh, optimiser, ids):
    optimiser.zero_grad()
    weigh(cross_entropy_per_exit(net(ids[:, :-1]), ids[:, 1:])).backward()
    optimiser.step()


def _half(rank, folder):
    """What each of two processes does: its half of every batch."""
    import torch.distributed as dist

    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{folder}/init", rank=rank, world_size=2)
    net, weigh, optimiser = _decoder_in_training(dist.group.WORLD)
    parallel = nn.parallel.DistributedDataParallel(net)
    for ids in texts().split(8):
        _step(parallel, weigh, optimiser, ids[rank::2])
    torch.save(net.state_dict(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()
