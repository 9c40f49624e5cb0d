"""Networks with several exits. A new one is one file here and one line in ``NETWORKS``."""

from anytime_core.foundations.registry import Registry

NETWORKS = Registry(
    kind="network",
    entries={
        "resann": "anytime_core.networks.resann:ResANN",
        "denseann": "anytime_core.networks.denseann:DenseANN",
        "msdnet": "anytime_core.networks.msdnet:MSDNet",
        "torchvision": "anytime_core.networks.backbone:torchvision_with_exits",
        "eann": "anytime_core.networks.ensemble:eann",
        "two_heads": "anytime_core.networks.two_heads:TwoHeads",
        "resann_imagenet": "anytime_core.networks.resann:ResANN.imagenet",
        "denseann_imagenet": "anytime_core.networks.denseann:DenseANN.imagenet",
        "msdnet_imagenet": "anytime_core.networks.msdnet:MSDNet.imagenet",
    },
    supplied=frozenset({"num_classes", "in_channels"}),
    largest=1000,
)
