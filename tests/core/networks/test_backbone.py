import copy
import pickle

import pytest
import torch
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer, resnet18

from anytime_core import exit_costs
from anytime_core.networks.backbone import with_exits

RESNET_SHAPE, VIT_SHAPE, CHAIN_SHAPE = (3, 32, 32), (3, 16, 16), (2, 4, 4)


def resnet():
    return resnet18(weights=None, num_classes=7)


def vit():
    return VisionTransformer(
        image_size=16, patch_size=8, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=12, num_classes=7
    )


def chain():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5), nn.Linear(5, 7)
    )


def swin():
    return SwinTransformer([4, 4], 12, [1, 1], [2, 2], [4, 4], num_classes=7)


BLOCKS = ["encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1"]
CASES = [
    pytest.param(resnet, ["layer1", "layer2.0", "layer3"], RESNET_SHAPE, id="resnet"),
    pytest.param(resnet, ["layer1.0.bn1", "layer2.0.downsample"], RESNET_SHAPE, id="inside of resnet's blocks"),
    pytest.param(vit, BLOCKS, VIT_SHAPE, id="vit"),
    pytest.param(swin, ["features.1"], RESNET_SHAPE, id="swin"),
    pytest.param(chain, ["2", "4"], CHAIN_SHAPE, id="sequential"),
    pytest.param(chain, [], CHAIN_SHAPE, id="no new exit"),
]


def make(build, at, shape, **options):
    torch.manual_seed(0)
    backbone = build()
    return backbone, with_exits(backbone, at, inputs=shape, **options), torch.randn(2, *shape)


@pytest.mark.parametrize(("build", "at", "shape"), CASES)
def test_the_last_exit_is_the_backbone_bit_for_bit_and_its_layers_are_the_backbones_own(build, at, shape):
    backbone, net, images = make(build, at, shape)
    net.eval()
    logits = net(images)
    assert logits.shape == (len(at) + 1, 2, 7)
    assert torch.equal(logits[-1], backbone(images))
    with torch.no_grad():  # attention has another course then
        assert torch.equal(net(images)[-1], backbone(images))
    own, shared = set(backbone.parameters()), set(net.parameters())
    new = {parameter for head in list(net.heads)[:-1] for parameter in head.parameters()}
    assert shared == own | new
    assert not own & new
    for buffer in backbone.buffers():  # which are shared too
        if buffer.is_floating_point():
            buffer.add_(1)
    assert torch.equal(net(images)[-1], backbone(images))


@pytest.mark.parametrize(("build", "at", "shape"), [CASES[0].values[:3], CASES[2].values[:3]])
def test_an_exit_runs_only_the_layers_up_to_it(build, at, shape):
    backbone, net, images = make(build, at, shape)
    net.eval()
    ran = []
    for name, module in backbone.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
    backbone(images)
    whole = list(ran)
    ran.clear()
    stream = net.stream(images)
    for place in at:
        next(stream)
        last = max(index for index, name in enumerate(whole) if name.startswith(place))
        assert ran == whole[: last + 1]
    next(stream)
    assert ran == whole


def test_exits_are_numbered_as_the_backbone_runs():
    _, net, _ = make(resnet, ["layer3", "layer1", "layer2"], RESNET_SHAPE)
    assert net.options["at"] == ("layer1", "layer2", "layer3")
    assert [head.head.linear.in_features for head in list(net.heads)[:-1]] == [64, 128, 256]


def test_a_layer_used_twice_has_its_exit_after_the_last_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.classifier = nn.Linear(2, 2), nn.Linear(2, 3)

        def forward(self, x):
            return self.classifier(self.layer(self.layer(x.flatten(1))))

    backbone = Twice()
    net = with_exits(backbone, ["layer"], inputs=(2, 1, 1))
    images = torch.randn(4, 2, 1, 1)
    assert torch.equal(net.segments[0](images)[0], backbone.layer(backbone.layer(images.flatten(1))))
    assert torch.equal(net(images)[-1], backbone(images))


# --- heads by hand -------------------------------------------------------------------------------------------------


def test_heads_by_hand():
    _, net, images = make(resnet, ["layer1.0.bn1"], RESNET_SHAPE)
    (features, *_), linear = net.eval().segments[0](images), net.heads[0].head.linear
    assert (features < 0).any()  # there is no ReLU in the head
    torch.testing.assert_close(net(images)[0], features.mean((2, 3)) @ linear.weight.T + linear.bias)

    _, net, images = make(vit, BLOCKS, VIT_SHAPE)
    (tokens, *_), head = net.eval().segments[0](images), net.heads[0].head
    assert tokens.shape == (2, 1 + 4, 8)
    first = tokens[:, 0]
    first = (first - first.mean(1, keepdim=True)) / (first.var(1, keepdim=True, correction=0) + 1e-6).sqrt()
    torch.testing.assert_close(net(images)[0], first @ head.linear.weight.T + head.linear.bias)

    _, net, images = make(swin, ["features.1"], RESNET_SHAPE)
    (features, *_), head = net.eval().segments[0](images), net.heads[0].head
    assert features.shape == (2, 8, 8, 12)  # channels last
    torch.testing.assert_close(net(images)[0], head.linear(head.norm(features).mean((1, 2))))


def test_heads_are_where_the_backbone_is():
    net = with_exits(resnet().double(), ["layer1"], inputs=RESNET_SHAPE)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float64}
    with torch.device("meta"):
        net = with_exits(resnet(), ["layer1"], inputs=RESNET_SHAPE)
    assert {parameter.device.type for parameter in net.parameters()} == {"meta"}


def test_another_number_of_classes_gets_a_new_last_layer():
    backbone, net, images = make(resnet, ["layer2"], RESNET_SHAPE, num_classes=4)
    assert net(images).shape == (2, 2, 4)
    assert net.heads[-1] is not backbone.fc
    assert backbone.eval()(images).shape == (2, 7)
    _, net, _ = make(resnet, ["layer2"], RESNET_SHAPE, num_classes=7)
    assert net(images).shape == (2, 2, 7)


@pytest.mark.parametrize("training", [True, False])
def test_modes_are_left_as_they_were(training):
    backbone = resnet().train(training)
    backbone.bn1.train(not training)  # frozen by the user
    before = {name: module.training for name, module in backbone.named_modules()}
    state = copy.deepcopy(backbone.state_dict())
    net = with_exits(backbone, ["layer1"], inputs=RESNET_SHAPE)
    assert before == {name: module.training for name, module in backbone.named_modules()}
    assert net.training is net.heads[0].training is training
    assert all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())


# --- costs ---------------------------------------------------------------------------------------------------------


def test_costs_of_a_vit_by_hand():
    _, net, _ = make(vit, BLOCKS, VIT_SHAPE)
    tokens, width = 5, 8
    patches = 4 * 8 * 8 * 3 * width
    block = tokens * (4 * width**2 + 2 * width * 12) + 2 * tokens**2 * width  # projections, MLP, attention
    assert exit_costs(net, VIT_SHAPE).macs_fixed == tuple(patches + k * block + width * 7 for k in (1, 2, 3))


def test_costs_of_the_stock_resnet_are_the_published_ones():
    with torch.device("meta"):
        net = with_exits(resnet18(weights=None), ["layer1", "layer2", "layer3"])
    costs = exit_costs(net, (3, 224, 224))
    assert costs.macs_fixed[-1] == pytest.approx(1.814e9, rel=1e-3)
    assert costs.parameters_fixed[-1] == 11_689_512


# --- errors --------------------------------------------------------------------------------------------------------


class ByValues(nn.Linear):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


class ByLength(nn.Linear):
    def forward(self, x):
        return super().forward(x).view(len(x), -1)


class AnotherCourse(nn.Linear):
    def forward(self, x):
        return super().forward(x) + x if self.training else super().forward(x)


class TwoTensors(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


def of(layer):
    return lambda: nn.Sequential(nn.Flatten(), layer(4, 4))


def odd():
    return nn.Sequential(nn.Unflatten(1, (1, 2)), nn.Flatten(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("build", "at", "options", "field", "told"),
    [
        (chain, ["9"], {"inputs": CHAIN_SHAPE}, "at", "0, 1, 2, 3, 4"),  # the known ones
        (resnet, ["layr1"], {}, "at", "did you mean layer1"),
        (resnet, "layer1", {}, "at", "the text 'layer1'"),
        (resnet, ["fc"], {}, "at", "'fc'"),  # an exit already
        (resnet, ["layer1", "layer1.1"], {}, "at", "'layer1' and 'layer1.1'"),  # one place
        (odd, ["0"], {"inputs": (2, 2, 2)}, "at", "(2, 1, 2,"),  # no head reads that
        (of(ByValues), ["0"], {"inputs": (1, 2, 2)}, "backbone", "in 1: what runs depends on the values"),
        (of(ByLength), ["0"], {"inputs": (1, 2, 2)}, "backbone", "in 1: expected x.shape[0]"),
        (of(AnotherCourse), ["0"], {"inputs": (1, 2, 2)}, "backbone", "in training it runs"),
        (chain, ["2"], {"inputs": (2, 5, 5)}, "backbone", "in 4: "),
        (of(TwoTensors), ["0"], {"inputs": (1, 2, 2)}, "output", "(0, 1)"),
        (lambda: nn.Sequential(*odd(), nn.ReLU()), [], {"num_classes": 5, "inputs": (2, 2, 2)}, "num_classes", "3"),
        *[(odd, [], {"num_classes": bad, "inputs": (2, 2, 2)}, "num_classes", str(bad)) for bad in (0, 2.5)],
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(build, at, options, field, told):
    with pytest.raises(ValueError, match=f"^{field}: ") as refused:
        with_exits(build(), at, **{"inputs": RESNET_SHAPE, **options})
    assert told in str(refused.value)
    assert field != "backbone" or "AnytimeNetwork" in str(refused.value)  # what to do instead


# --- other inputs, other outputs -----------------------------------------------------------------------------------


class Dropping(nn.Linear):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), training=self.training)


class Tokens(nn.Module):
    """Two inputs, one of them whole numbers; a dict of three tensors."""

    def __init__(self):
        super().__init__()
        self.embedding, self.block, self.classifier = nn.Embedding(10, 8), Dropping(8, 8), nn.Linear(8, 7)

    def forward(self, ids, mask=None, scale=1.0):
        x = self.block(self.embedding(ids).view(ids.shape[0], -1, 8))
        if mask is not None:
            x = x * mask.view(mask.shape[0], -1, 1)
        return {"mask": mask, "features": x, "logits": self.classifier(x.mean(1)) * scale}


@pytest.mark.parametrize("named", [False, True])
def test_several_inputs_and_a_dict_of_outputs(named):
    torch.manual_seed(0)
    backbone, ids, mask = Tokens().eval(), torch.randint(10, (3, 5)), torch.rand(3, 5)
    inputs = {"ids": ids, "mask": mask} if named else (ids, mask)
    net = with_exits(backbone, ["block"], inputs=inputs)
    logits = net(inputs) if named else net(ids, mask)
    assert torch.equal(logits[-1], backbone(ids, mask)["logits"])
    assert logits.shape == (2, 3, 7)
    assert not torch.equal(net.train()(inputs), net(inputs))  # dropout, which is a constant in the code
    fewer = {key: x[:1] for key, x in inputs.items()} if named else (ids[:1], mask[:1])
    assert net.eval()(fewer).shape == (2, 1, 7)  # the batch is not that of the example
    block, classifier, head = 5 * 8 * 8, 8 * 7, 8 * 7
    assert exit_costs(net, inputs).macs_fixed == (block + head, block + classifier)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_from_a_file_follows_its_mode_whatever_that_was_when_it_was_saved(training):
    torch.manual_seed(0)
    features = torch.randn(4, 8)
    net = with_exits(nn.Sequential(Dropping(8, 8), nn.Linear(8, 3)), ["0"], inputs=(8,)).train(training)
    other = pickle.loads(pickle.dumps(net))
    assert torch.equal(other.eval()(features), net.eval()(features))
    assert not torch.equal(other.train()(features), other(features))  # the dropout is back


def test_a_tuple_of_one_argument_is_that_argument():
    backbone, _, images = make(chain, [], CHAIN_SHAPE)
    net = with_exits(backbone, ["2"], inputs=(images,)).eval()
    assert torch.equal(net(images)[-1], backbone.eval()(images))


def test_names_come_from_anything_that_gives_them_once():
    assert with_exits(chain(), (name for name in ("2", "4")), inputs=CHAIN_SHAPE).num_exits == 3


def test_a_map_as_high_as_it_has_channels_is_no_map_of_channels_last():
    backbone = nn.Sequential(nn.Conv2d(1, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    net = with_exits(backbone, ["0"], inputs=(1, 8, 12))
    assert net(torch.randn(2, 1, 8, 16)).shape == (2, 2, 3)  # [N, 8, 8, 16]


def test_what_holds_the_logits_can_be_named():
    backbone = nn.Sequential(nn.Flatten(), TwoTensors(4, 3)).eval()
    net, images = with_exits(backbone, ["0"], inputs=(1, 2, 2), output=0), torch.randn(2, 1, 2, 2)
    assert torch.equal(net(images)[-1], backbone(images)[0])


def test_a_head_of_ones_own():
    net = with_exits(
        vit(), BLOCKS[:1], inputs=VIT_SHAPE,
        make_head=lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(shape[1:].numel(), classes)),
    )  # fmt: skip
    assert net.heads[0].head[1].in_features == 5 * 8
    assert net(torch.randn(2, *VIT_SHAPE)).shape == (2, 2, 7)


def test_the_networks_of_transformers():
    transformers = pytest.importorskip("transformers", reason="of the extra dev")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
    vit_config = transformers.ViTConfig(**sizes, image_size=32, patch_size=8, num_labels=7)
    resnet_config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], num_labels=7)
    for backbone, at in [
        (transformers.ViTForImageClassification(vit_config), ["vit.layers.0", "vit.layers.1"]),
        (transformers.ResNetForImageClassification(resnet_config), ["resnet.encoder.stages.0"]),
    ]:
        images = torch.randn(3, 3, 32, 32)
        net = with_exits(backbone.eval(), at, inputs=(3, 32, 32))
        logits = net.eval()(images)
        assert torch.equal(logits[-1], backbone(images).logits)
        assert torch.equal(torch.stack(list(net.stream(images))), logits)
        assert len(exit_costs(net, (3, 32, 32)).macs_fixed) == len(at) + 1
