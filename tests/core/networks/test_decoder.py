import copy

import pytest
import torch
from torch import nn

from anytime_core import AdaLoss, cross_entropy_per_exit, exit_costs
from anytime_core.networks.decoder import decoder_with_exits
from tests.core.decoders import VOCABULARY, WITH_MEMORY, hugging_face, of_torch, small_decoder, tokens, truncated

MODELS = {**WITH_MEMORY, "small, tied": lambda: small_decoder(tied=True), "layers of PyTorch": of_torch}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def answers(model, ids):
    output = model(ids)
    return output if isinstance(output, torch.Tensor) else output.logits


# --- what it gives -------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_each_exit_is_the_model_without_the_blocks_after_it_bit_for_bit(model):
    ids, count = tokens(2, 9), 3 if isinstance(model, type(of_torch())) else 4
    net = decoder_with_exits(model)
    logits = net(ids)
    assert logits.shape == (count, 2, 9, VOCABULARY)
    assert net.options["at"] == tuple(range(1, count + 1))
    for number, given in enumerate(logits, start=1):
        assert torch.equal(given, answers(truncated(model, number), ids)), f"exit {number}"
    assert torch.equal(torch.stack(list(net.stream(ids))), logits)


def test_parameters_are_the_models_own_and_stay_tied(model):
    net = decoder_with_exits(model, at=[2])
    assert net.num_exits == 2
    assert set(net.parameters()) == set(model.parameters())
    assert net.heads[0] is net.heads[1]
    costs = exit_costs(net, tokens(1, 5))
    assert costs.parameters_cumulative[-1] == sum(p.numel() for p in model.parameters())  # a shared one counts once
    other = copy.deepcopy(net)
    assert len(set(other.parameters())) == len(set(net.parameters()))
    assert not set(other.parameters()) & set(net.parameters())
    assert torch.equal(other(tokens(1, 5)), net(tokens(1, 5)))


def test_it_trains_from_every_exit_and_in_training_mode(model):
    net = decoder_with_exits(model).train()
    ids = tokens(2, 9)
    weigh = AdaLoss(net.num_exits, refresh_period=1).to(ids.device)
    weigh(cross_entropy_per_exit(net(ids[:, :-1]), ids[:, 1:])).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())
    dropout = any(isinstance(part, nn.Dropout) and part.p > 0 for part in net.modules())
    assert torch.equal(net(ids), net(ids)) != dropout
    assert torch.equal(net.eval()(ids), net(ids))


def test_a_dropout_in_the_models_own_code_follows_the_mode():
    model = of_torch()
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    net, ids = decoder_with_exits(model), tokens(1, 6)
    assert torch.equal(net(ids), net(ids))
    assert not torch.equal(net.train()(ids), net(ids))
    assert model.training is False  # it is the model's parts that are shared, not its mode


def test_the_loss_of_the_last_exit_is_hugging_faces():
    model, ids = hugging_face("Llama"), tokens(3, 8)
    labels = ids.clone()
    labels[0, 5:] = -100
    losses = cross_entropy_per_exit(decoder_with_exits(model)(ids[:, :-1]), labels[:, 1:], ignore_index=-100)
    torch.testing.assert_close(losses[-1], model(ids, labels=labels).loss)


def test_heads_of_ones_own_read_the_states():
    model = small_decoder()
    net = decoder_with_exits(model, at=[1, 3], make_head=nn.Linear)
    assert net.num_exits == 3
    new = {*net.heads[0].parameters(), *net.heads[1].parameters()}
    assert set(net.parameters()) == {*model.parameters(), *new}
    ids = tokens(1, 4)
    assert torch.equal(net(ids)[1], net.heads[1](net.segments[1](net.segments[0](ids))))
    assert torch.equal(net(ids)[2], model(ids))


def test_only_the_layers_up_to_an_exit_run():
    model, ran = small_decoder(), []
    for number, block in enumerate(model.blocks, start=1):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    model.output.register_forward_hook(lambda *_: ran.append("head"))
    stream = decoder_with_exits(model, at=[1, 3]).stream(tokens(1, 4))
    for expected in ([1, "head"], [2, 3, "head"], [4, "head"]):
        ran.clear()
        next(stream)
        assert ran == expected


class InTuples(nn.Linear):
    def forward(self, x, scale=1.0):
        return super().forward(x) * scale, "attention"


class GivesTuples(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.output = nn.Embedding(VOCABULARY, 4), nn.Linear(4, VOCABULARY)
        self.inner = nn.Module()
        self.inner.layers = nn.ModuleList(InTuples(4, 4) for _ in range(3))

    def forward(self, ids):
        x = self.embedding(ids)
        for number, layer in enumerate(self.inner.layers):
            x = layer(x, scale=layer.in_features + number)[0]  # it asks its blocks for attributes
        return {"logits": self.output(x)}


def test_blocks_that_give_tuples_and_models_that_give_dicts():
    model, ids = GivesTuples(), torch.tensor([[1, 2, 3]])
    logits = decoder_with_exits(model)(ids)
    assert torch.equal(logits[-1], model(ids)["logits"])
    assert torch.equal(logits[0], model.output(4 * nn.Linear.forward(model.inner.layers[0], model.embedding(ids))))


# --- what it costs, and what it refuses ----------------------------------------------------------------------------


def test_costs_by_hand():
    net, length, width = decoder_with_exits(small_decoder(), at=[1, 2]), 6, 16
    block = length * 12 * width**2 + 2 * length**2 * width  # matrices of 3, 1, 4 and 4 widths; attention
    head = length * width * VOCABULARY
    costs = exit_costs(net, tokens(1, length))
    assert costs.macs_fixed == tuple(count * block + head for count in (1, 2, 4))
    assert costs.macs_cumulative == tuple(count * block + k * head for k, count in enumerate((1, 2, 4), start=1))


class Loose(GivesTuples):
    """It holds a weight and a buffer itself, and so does the module around its blocks."""

    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(torch.ones(4))
        self.register_buffer("scale", torch.ones(4))
        self.inner.register_buffer("shift", torch.zeros(31), persistent=False)

    def forward(self, ids):
        return {"logits": super().forward(ids)["logits"] * (self.start * self.scale).sum() + self.inner.shift}


def test_what_a_model_holds_outside_of_its_layers_is_moved_loaded_and_copied_with_it():
    torch.manual_seed(0)
    model, ids = Loose(), torch.tensor([[1, 2, 3]])
    net, other = decoder_with_exits(model), decoder_with_exits(Loose())
    assert set(net.parameters()) == set(model.parameters())
    with torch.no_grad():
        model.scale.fill_(3.0)
        model.start.fill_(2.0)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(ids), net(ids))
    assert torch.equal(net(ids)[-1], model(ids)["logits"])
    assert copy.deepcopy(net).double()(ids).dtype == torch.float64
    assert net.to("meta")(ids.to("meta")).is_meta
    assert {x.device.type for x in (model.start, model.scale, model.inner.shift)} == {"meta"}


def two_rows():
    model = GivesTuples()
    model.others = nn.ModuleList([nn.Linear(1, 1)])
    return model


@pytest.mark.parametrize(
    ("make", "options", "name"),
    [
        (lambda: nn.Linear(2, 2), {}, "blocks"),
        (two_rows, {}, "blocks"),
        *[(GivesTuples, {"at": at}, "at") for at in ([0], [4], [2, 1], [1, 1])],
    ],
)
def test_what_has_no_exits_is_refused(make, options, name):
    with pytest.raises(ValueError, match=rf"^{name}: expected "):
        decoder_with_exits(make(), **options)


def test_one_of_several_rows_can_be_named():
    model = two_rows()
    del model.others[0]  # an empty row is none
    assert decoder_with_exits(model, blocks="inner.layers").num_exits == 3
