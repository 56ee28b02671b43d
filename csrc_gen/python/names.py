"""Names in Python: a trailing underscore where Python, `nn.Module` or the constructor already uses the name."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

TAKEN = frozenset(
    """self fn torch Neuron Definition Param dt t detach_reset spiking learnable surrogate step_mode backend record
    channels neurons steps step functional reset detach_states forward training definition double float half bfloat16
    type to cpu cuda apply train eval parameters buffers children modules state_dict load_state_dict zero_grad
    requires_grad_ register_buffer register_parameter add_module extra_repr compile share_memory register_module
    call_super_init dump_patches get_buffer get_parameter get_submodule named_buffers named_children named_modules
    named_parameters states print_mode T_destination get_extra_state set_extra_state set_submodule ipu mtia xpu to_empty
    noise_in_eval register_backward_hook register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_state_dict_post_hook register_state_dict_pre_hook spikes state_attributes""".split()  # noqa: SIM905
)
"""`trace`, too, is an attribute of the class: a state of that name hides it on instances, where nobody looks for it."""


def python_names(names: Iterable[str]) -> dict[str, str]:
    """Each name's spelling, all different."""
    spelt: dict[str, str] = {}
    used: set[str] = set()
    listed = list(names)
    for name in listed:
        found = name
        while found in TAKEN or keyword.iskeyword(found) or found in used or found.startswith("_"):
            found = f"n{found}" if found.startswith("_") else f"{found}_"
            while found in listed:
                found += "_"
        used.add(found)
        spelt[name] = found
    return spelt


class ModuleNames:
    """Names of a generated module: its classes, what it imports, and what it works out for them.

    What classes read has one leading underscore: of two, Python would put the class's name before.
    """

    def __init__(self, neurons: Iterable[str]) -> None:
        neurons = list(neurons)
        self._used = {*neurons, *_NEEDED}
        self.classes = {
            name: self._apart(name) if name in _NEEDED or _of_python(name) else name
            for name in neurons
        }
        """By neuron: with an underscore where Python or the module's own text needs the name."""
        self.definition, self.base, self.param = map(self._apart, _IMPORTED)

    @property
    def imported(self) -> str:
        """What stands after `import`, from `neurodsl.runtime.module`."""
        spelt = (self.definition, self.base, self.param)
        pairs = zip(_IMPORTED, spelt, strict=True)
        return ", ".join(a if a == b else f"{a} as {b}" for a, b in pairs)

    def fresh(self, name: str) -> str:
        """A private name that nothing else has."""
        return self._apart("_" + name.lstrip("_"))

    def _apart(self, name: str) -> str:
        while name in self._used:
            name += "_"
        self._used.add(name)
        return name


_IMPORTED = ("Definition", "Neuron", "Param")

_NEEDED = frozenset(("super", "fn"))


def _of_python(name: str) -> bool:
    """Whether a class cannot have the name: a keyword, or one such as `__name__` that means something in a module."""
    special = name.startswith("__") and name.endswith("__") and name.strip("_") != ""
    return keyword.iskeyword(name) or special
