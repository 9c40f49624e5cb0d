"""Networks with several exits. A new one is one file here and one line in ``NETWORKS``."""

from anytime_core.registry import Registry

NETWORKS = Registry(
    kind="network",
    entries={
        "resann": "anytime_core.networks.resann:ResANN",
    },
    supplied=frozenset({"num_classes", "in_channels"}),
)
