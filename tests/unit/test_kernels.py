"""The faster kernels do the mathematics of those that they replace."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from ftbench import kernels, models
from ftbench.kernels import Dropout

Base = Callable[[str], Path]


@pytest.mark.parametrize("architecture", ["phi", "bloom"])
def test_the_gelus_of_phi_and_bloom_become_one_operation(architecture: str, tiny_base: Base) -> None:
    model = models.load_decoder(tiny_base(architecture), None)
    fused = [module for module in model.modules() if isinstance(module, nn.GELU)]
    assert [module.approximate for module in fused] == ["tanh"] * model.config.num_hidden_layers
    assert not [module for module in model.modules() if type(module).__name__ in ("NewGELUActivation", "BloomGelu")]


@pytest.mark.parametrize("kind", ["NewGELUActivation", "BloomGelu"])
def test_a_fused_gelu_and_its_gradient_are_those_of_the_one_written_out(kind: str) -> None:
    from transformers.activations import NewGELUActivation
    from transformers.models.bloom.modeling_bloom import BloomGelu

    written_out = {"NewGELUActivation": NewGELUActivation, "BloomGelu": BloomGelu}[kind]()
    (fused,) = kernels.fuse_gelu(nn.Sequential(written_out))
    points = torch.linspace(-6, 6, 2001)
    results = []
    for module in (written_out, fused):
        given = points.clone().requires_grad_()
        result = module(given)
        result.sum().backward()
        results.append((result.detach(), given.grad))
    assert type(fused) is nn.GELU
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=2e-6)
    assert fused(torch.tensor(1.0)).item() == pytest.approx(0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * 1.044715)), abs=1e-6)


def test_a_gelu_that_is_no_tanh_form_and_a_model_without_one_stay_as_they_are() -> None:
    model = nn.Sequential(nn.GELU(), nn.ReLU())
    assert [str(module) for module in kernels.fuse_gelu(model)] == ["GELU(approximate='none')", "ReLU()"]


def test_dropout_zeroes_its_share_scales_the_rest_and_sends_gradients_the_same_way() -> None:
    torch.manual_seed(0)
    for p in (0.05, 0.1, 0.5):
        given = torch.ones(500, 801, requires_grad=True)
        result = Dropout(p)(given)
        result.sum().backward()
        zeroed = (result == 0).double().mean().item()
        assert zeroed == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / given.numel()))
        assert result.max().item() == pytest.approx(1 / (1 - p), rel=1e-4)
        assert torch.equal(given.grad, result.detach())


def test_neighbours_are_dropped_independently_of_each_other() -> None:
    """Four elements come of one draw: each of the sixteen patterns is as frequent as chance would have it."""
    torch.manual_seed(1)
    kept = (Dropout(0.5)(torch.ones(400_000)) != 0).view(-1, 4).long()
    patterns = (kept * torch.tensor([8, 4, 2, 1])).sum(dim=1).bincount(minlength=16).double() / 100_000
    assert patterns.tolist() == pytest.approx([1 / 16] * 16, abs=4 * math.sqrt(15 / 256 / 100_000))


def test_dropout_follows_the_seed_and_rests_in_evaluation_and_at_zero() -> None:
    given, dropout = torch.ones(1003), Dropout(0.3)
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(dropout(given))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert dropout.eval()(given) is given
    assert torch.equal(Dropout(0.0)(given), given)
    assert Dropout(1.0)(given).abs().sum() == 0


def test_quickened_dropout_keeps_probability_mode_and_precision() -> None:
    model = nn.Sequential(nn.Dropout(0.25), nn.Sequential(nn.Dropout(0.1)).eval())
    kernels.quicken_dropout(model)
    first, second = model[0], model[1][0]
    assert [type(module) for module in (first, second)] == [Dropout, Dropout]
    assert (first.p, first.training, second.p, second.training) == (0.25, True, 0.1, False)
    assert first(torch.ones(8, dtype=torch.bfloat16)).dtype == torch.bfloat16
