"""One module fused and by the eager reference: what both give on the same input, with the same random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def outcome(node: Any, x: Tensor, calls: int = 1) -> dict[str, Tensor]:
    """Outputs, final states and the gradients of everything, after `calls` calls that go on from each other."""
    torch.manual_seed(11)
    x = x.clone().requires_grad_()
    found: dict[str, Tensor] = {}
    for call in range(calls):
        outputs = node(x)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        found |= {f"output {call} {place}": y for place, y in enumerate(outputs)}
    found |= {name: getattr(node, name) for name in node.definition.states}
    generator = torch.Generator().manual_seed(1)
    weights = [
        torch.randn(y.shape, generator=generator, dtype=torch.float64) for y in found.values()
    ]
    pairs = zip(found.values(), weights, strict=True)
    loss = sum((y * w.to(y)).sum() for y, w in pairs)
    assert isinstance(loss, Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    found["gradient of x"] = x.grad
    found |= {f"gradient of {name}": p.grad for name, p in node.named_parameters()}
    return found


def check_fused(
    make: Callable[[str], Any], x: Tensor, *, calls: int = 1, exact: bool = True
) -> dict[str, Tensor]:
    """`make(backend)` on `x`: outputs equal to the bit if `exact`, gradients as far as the dtype goes.

    Returns the fused outcome.
    """
    found, expected = (
        outcome(make(backend).to(x.dtype), x, calls) for backend in ("fused", "reference")
    )
    assert found.keys() == expected.keys()
    tolerance = 1e-11 if x.dtype is torch.float64 else 1e-4
    for name, value in found.items():
        if exact and name.startswith("output"):
            assert torch.equal(value, expected[name]), name
        size = float(expected[name].norm()) or 1.0
        assert float((value - expected[name]).norm()) <= tolerance * size, name
    return found
