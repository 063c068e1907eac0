"""A small decoder-only transformer."""

import torch.nn.functional as F
from torch import Tensor, nn

INITIAL_STD = 0.02


class GPT(nn.Module):
    """Token numbers (N, T) → logits (N, V, T) of each next token, in the order that cross-entropy takes.

    Learned positions, layer norm before attention and MLP, GELU; the token embedding is the classifier as well.

    Source: Radford et al. (2019), without dropout; initialisation as there.
    """

    def __init__(self, vocabulary: int, layers: int, width: int, heads: int, inner: int, block: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(block, width)
        self.layers = nn.ModuleList(Layer(width, heads, inner) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                # Each layer adds two outputs to the residual stream, whose variance is to stay what it was.
                adds = name.endswith(("output.weight", "contract.weight"))
                nn.init.normal_(parameter, std=INITIAL_STD / (2 * layers) ** 0.5 if adds else INITIAL_STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits (N, V, T) of what follows each of the tokens (N, T), of any number type."""
        stream = self.token(tokens.long()) + self.position.weight[: tokens.shape[1]]
        for layer in self.layers:
            stream = layer(stream)
        logits: Tensor = F.linear(self.norm(stream), self.token.weight)
        return logits.transpose(1, 2)


class Layer(nn.Module):
    """Causal attention and an MLP, each added to the residual stream (N, T, width)."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, inner)
        self.contract = nn.Linear(inner, width)

    def forward(self, stream: Tensor) -> Tensor:
        """Return the residual stream after this layer."""
        normed = self.norm1(stream)
        query, key, value = (self._split(part(normed)) for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        stream = stream + self.output(mixed.transpose(1, 2).flatten(2))
        added: Tensor = self.contract(F.gelu(self.expand(self.norm2(stream))))
        return stream + added

    def _split(self, projected: Tensor) -> Tensor:
        """Return (N, T, width) as (N, heads, T, width / heads)."""
        parts: Tensor = projected.unflatten(2, (self.heads, -1))
        return parts.transpose(1, 2)


def gpt(
    input_shape: tuple[int, ...],
    classes: int,
    layers: int = 2,
    width: int = 128,
    heads: int = 4,
    inner: int | None = None,
    block: int = 512,
) -> GPT:
    """Return a GPT over `classes` tokens for sequences of up to `block` of them.

    Raises:
        ValueError: if the task's inputs are no sequences, or longer ones.
    """
    if len(input_shape) != 1 or input_shape[0] > block:
        raise ValueError(
            f'model "gpt" needs sequences of at most {block} tokens, the task\'s inputs are {input_shape}'
        )
    return GPT(classes, layers, width, heads, 4 * width if inner is None else inner, block)
