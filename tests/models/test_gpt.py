import numpy as np
import pytest
import reference
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from search_spaces.base import arguments
from search_spaces.models import GPTModel
from sweeper.models import MODELS
from sweeper.training import state_of


def test_it_has_as_many_parameters_as_the_published_one():
    with torch.device("meta"):
        network = MODELS["gpt"]((1024,), 50257, layers=12, width=768, heads=12, block=1024)
    assert sum(parameter.numel() for parameter in network.parameters()) == 124_439_808


def test_it_equals_its_definition():
    config = GPTModel(layers=2, width=8, heads=2, inner=12, block=6)
    network = MODELS["gpt"]((5,), 7, **arguments(config)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()
    tokens = torch.randint(7, (3, 5))
    for row, logits in zip(tokens.tolist(), network(tokens), strict=True):
        expected = reference.next_tokens(state_of(network), row, layers=2, heads=2)
        np.testing.assert_allclose(logits.T.detach().numpy(), expected, rtol=1e-10, atol=1e-10)


def test_no_token_sees_a_later_one():
    network = MODELS["gpt"]((6,), 9, width=16)
    tokens = torch.randint(9, (2, 6))
    later = tokens.clone()
    later[:, 4:] = (later[:, 4:] + 1) % 9
    before, after = network(tokens), network(later)
    torch.testing.assert_close(after[:, :, :4], before[:, :, :4])
    assert not torch.allclose(after[:, :, 4], before[:, :, 4])


def test_its_outputs_are_as_cross_entropy_takes_them():
    network = MODELS["gpt"]((6,), 9, width=16)
    loss = F.cross_entropy(network(torch.randint(9, (2, 6))), torch.randint(9, (2, 6)))
    assert float(loss.detach()) == pytest.approx(np.log(9), rel=0.02), "at first every token is as likely"


@pytest.mark.parametrize("shape", [(7,), (1, 8, 8)])
def test_sequences_must_fit(shape):
    with pytest.raises(ValueError, match=r"needs sequences of at most 6 tokens, the task's inputs are \("):
        MODELS["gpt"](shape, 9, block=6)


def test_heads_share_the_width():
    with pytest.raises(ValidationError, match="width 128 is no multiple of heads 5; change either"):
        GPTModel(heads=5)
