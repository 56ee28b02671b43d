"""`neurodsl compare`: every back end of this machine, and other people's classes, against the eager reference.

    from neurodsl.tools.compare import compare
    result = compare("lif.neuron", against="spikingjelly.activation_based.neuron:LIFNode")
    assert result.passed, result

Importing this package imports torch.
"""

from __future__ import annotations

from neurodsl.tools.compare.comparison import compare
from neurodsl.tools.compare.contestants import CannotCompareError
from neurodsl.tools.compare.result import ComparisonResult, Difference
from neurodsl.tools.compare.table import print_comparison

__all__ = ["CannotCompareError", "ComparisonResult", "Difference", "compare", "print_comparison"]
