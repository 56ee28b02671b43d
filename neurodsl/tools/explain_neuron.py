"""`neurodsl explain FILE`: a step in order, what is saved and what is worked out again, bytes, derivatives."""

from __future__ import annotations

from neurodsl.driver import analyse_text, plan_neurons
from neurodsl.files import disk_loader
from neurodsl.ir.kernel_plan import KernelPlan
from neurodsl.ir.pprint import derivative_table
from neurodsl.options import Options
from neurodsl.sema.model import NeuronModel, PhaseName


def explain(text: str, name: str) -> str:
    """The explanation of every neuron of a program.

    Raises:
        CompileError: the program is wrong.
    """
    options = Options()
    model = analyse_text(text, name, options, disk_loader).model
    parts = [_neuron(neuron, plan) for neuron, plan in plan_neurons(model, options)]
    return "\n\n".join(parts) + "\n"


def _neuron(neuron: NeuronModel, plan: KernelPlan) -> str:
    return "\n".join([f"neuron {neuron.name}", *_order(neuron), *_memory(plan), *_table(plan)])


def _order(neuron: NeuronModel) -> list[str]:
    states = ", ".join(state.name for state in neuron.states) or "no state"
    lines = ["", "one time step, in order:"]
    steps = [f"read {', '.join(neuron.inputs)} and {states} as the step before left it"]
    for phase in PhaseName:
        shown: list[str] = []
        for statement in neuron.statements:
            if statement.phase is phase and statement.text not in shown:
                shown.append(statement.text)
        steps += [f"{phase.value}: {line}" for line in shown]
    for system in neuron.systems:
        why = system.why_not_exact
        exact = f"not possible: {why}" if why else "possible: the system is linear"
        lines.append(f"  ({system.states}: solved by {system.solver}; exact is {exact})")
    steps.append(f"write {', '.join(neuron.outputs)}")
    return lines + [f"  {number}. {step}" for number, step in enumerate(steps, 1)]


def _memory(plan: KernelPlan) -> list[str]:
    lines = ["", f"for backward (save={plan.policy.value}):"]
    saved = ", ".join(var.name for var in plan.saved)
    tape = ", ".join(var.name for var in plan.backward.tape) or "nothing"
    if saved:
        lines.append(f"  forward saves {saved}; backward reads it")
    else:
        lines.append("  forward saves nothing but the inputs and the initial states")
        lines.append(f"  backward works the steps out again and keeps {tape} meanwhile")
        if plan.checkpoints:
            states = ", ".join(plan.checkpoints)
            lines.append(
                f"  of more than {plan.checkpoints_above} steps, the CPU keeps {states} before every 32nd"
            )
    lines.append("  bytes a neuron-step in float32:")
    lines += [f"    {count:3d}  {what}" for what, count in plan.bytes_per_step]
    return lines


def _table(plan: KernelPlan) -> list[str]:
    lines = ["", "derivatives, a statement at a time:"]
    for statement, derivatives in derivative_table(plan):
        lines.append(f"  {statement}")
        lines += [f"      {derivative}" for derivative in derivatives.split("; ")]
    surrogates = {
        assign.note: assign.target.name
        for assign in plan.forward.step
        if "spike(" in (assign.note or "")
    }
    if surrogates:
        lines.append(
            "  a spike passes its gradient to its argument, times the surrogate's derivative:"
        )
        lines.append("  `neurodsl show FILE --stage adjoint` prints it")
    return lines
