"""Small decoders with random weights, of Hugging Face and of one's own, and what they are without their last blocks."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_study.runs.gpt import SmallDecoder
from tests.core.on_device import on_device

VOCABULARY = 31


def small_decoder(tied=False):
    """The study's, with weights so large that its answers differ."""
    torch.manual_seed(0)
    model = SmallDecoder(VOCABULARY, 64, 16, 4, 2, tied=tied)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8) if parameter.ndim == 2 else parameter.add_(0.1 * torch.randn(parameter.shape))
    return on_device(model).eval()


class OfTorch(nn.Module):
    """Written with PyTorch's own transformer layers; it has no cache, and a dropout in its own forward."""

    def __init__(self):
        super().__init__()
        self.embedding, self.norm, self.output = nn.Embedding(VOCABULARY, 16), nn.LayerNorm(16), nn.Linear(16, 31)
        layer = {"d_model": 16, "nhead": 2, "dim_feedforward": 24, "norm_first": True, "batch_first": True}
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(**layer) for _ in range(3))
        self.output.weight = self.embedding.weight

    def forward(self, ids):
        x = F.dropout(self.embedding(ids), training=self.training)
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1], device=x.device)
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return self.output(self.norm(x))


def of_torch():
    torch.manual_seed(0)
    return on_device(OfTorch()).eval()


def hugging_face(kind):
    """A model of transformers; ``kind`` is the beginning of its class's name, ``"Llama tied"`` ties its embeddings."""
    transformers = pytest.importorskip("transformers", reason="of the extra dev")
    name, _, tied = kind.partition(" ")
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 24, "bos_token_id": None, "eos_token_id": None, "initializer_range": 0.3}
    if name == "GPT2":
        sizes |= {"n_embd": 16, "n_layer": 4, "n_head": 2, "n_inner": 24}
    elif name != "GPTNeoX":
        sizes |= {"num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0}
    if name in ("Mistral", "Gemma2"):
        sizes["sliding_window"] = 4  # shorter than the texts
    if name != "Gemma2":
        sizes["tie_word_embeddings"] = bool(tied)
    torch.manual_seed(0)
    head = "LMHeadModel" if name == "GPT2" else "ForCausalLM"
    model = getattr(transformers, name + head)(getattr(transformers, f"{name}Config")(**sizes))
    return on_device(model).eval()


HUGGING_FACE = ["Llama", "Llama tied", "GPT2 tied", "Mistral", "Gemma2", "GPTNeoX"]
WITH_MEMORY = {"small": small_decoder, **{kind: lambda kind=kind: hugging_face(kind) for kind in HUGGING_FACE}}


def truncated(model, count):
    """A copy of the first blocks, with the model's own norm and output matrix after them."""
    other = copy.deepcopy(model)
    (row,) = [part for part in other.modules() if isinstance(part, nn.ModuleList)]
    del row[count:]
    if hasattr(other, "config"):
        other.config.num_hidden_layers = count
    return other


def tokens(count, length, *, seed=0):
    """Token ids [count, length] on the device under test."""
    return on_device(torch.randint(3, VOCABULARY, (count, length), generator=torch.Generator().manual_seed(seed)))
