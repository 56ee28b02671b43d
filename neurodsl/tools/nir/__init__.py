"""NIR, the intermediate representation that neuromorphic frameworks exchange networks in (J. E. Pedersen et al., 2024).

`from_nir` makes modules of graphs and nodes, `to_nir` the other way round. The package `nir` is imported when it is
needed: `pip install nir`.
"""

from __future__ import annotations

from neurodsl.tools.nir.errors import NIRError
from neurodsl.tools.nir.export import to_nir
from neurodsl.tools.nir.load import NIRNetwork, from_nir

__all__ = ["NIRError", "NIRNetwork", "from_nir", "to_nir"]
