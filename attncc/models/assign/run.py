"""From a model and texts to its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from attncc import check, settings
from attncc.device import DeviceModel
from attncc.errors import BadShare, NothingToAssign
from attncc.library.store import KernelLibrary
from attncc.models.assign.assigned import Assigned
from attncc.models.assign.candidates import Candidate, defaults
from attncc.models.assign.costs import Costs, layer_micros, measured, stretched
from attncc.models.assign.exact import Layer
from attncc.models.assign.findings import Findings, findings
from attncc.models.assign.observe import Reader, observe
from attncc.models.assign.predicted import predicted
from attncc.models.assign.solve import Choice, solve
from attncc.models.plan import ModelSizes, Phase, Plan
from attncc.models.plan_rules import rules_for


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """How a plan is looked for. Attention may take `budget` of the time of dense attention with `length` keys (0: as
    long as the texts), on `target`, or on the device of the model where that is None. Without `candidates` those of
    `attncc.models.assign.candidates` are tried. `seconds` are spent on timing for each phase."""

    budget: float = 0.2
    phases: tuple[Phase, ...] = ("prefill",)
    candidates: tuple[Candidate, ...] = ()
    length: int = 0
    target: DeviceModel | None = None
    seconds: float = 10.0
    dense_below: int = 0


def assign(
    model: Reader, sizes: ModelSizes, texts: Sequence[Tensor], wanted: Wanted, name: str = "assigned"
) -> tuple[Plan, tuple[Assigned, ...]]:
    """The plan called `name` that changes the outputs of the heads of `model` least, on `texts`, within the budget, and
    what it was found from, phase by phase.

    Raises BadShare, NothingToAssign where every layer is special, BudgetTooSmall, ExtraMissing, and what kernels raise.
    """
    if not 0 < wanted.budget <= 1:
        raise BadShare(wanted.budget)
    found = tuple(_phase(model, sizes, texts, wanted, phase) for phase in wanted.phases)
    return _plan(name, found, wanted.dense_below), found


def _phase(model: Reader, sizes: ModelSizes, texts: Sequence[Tensor], wanted: Wanted, phase: Phase) -> Assigned:
    length = wanted.length or int(texts[0].shape[1])
    candidates = wanted.candidates or defaults(phase, int(texts[0].shape[1]))
    known = findings(model, sizes, texts, candidates, phase)
    free = known.free()
    if not free:
        raise NothingToAssign(known.special[0])
    middle = free[len(free) // 2]
    sample, relative = _layer(model, texts[0], middle), known.relative()
    if wanted.target is None:
        costs = measured(sample, relative[middle], candidates, phase, length, wanted.seconds)
    else:
        costs = _predicted(sample, candidates, phase, length, wanted.target)
    choice = solve(known.loss(), relative, costs, wanted.budget, [bool(special) for special in known.special])
    checked = None
    if wanted.target is None:
        checked = _checked(model, texts[0], choice, known, phase, length, wanted.seconds / len(free))
    return Assigned(phase, known, costs, wanted.budget, choice, checked)


def _predicted(sample: Layer, candidates: Sequence[Candidate], phase: Phase, length: int, target: DeviceModel) -> Costs:
    asked = stretched(sample, phase, length)
    operands, shape = check.arguments(asked.query, asked.key, asked.value)
    with KernelLibrary(settings.library_path()) as library:
        return predicted(candidates, operands, shape, target, library)


def _layer(model: Reader, text: Tensor, number: int) -> Layer:
    """What one layer is asked."""
    kept: list[Layer] = []

    def watch(layer_number: int, layer: Layer) -> None:
        if layer_number == number:
            query, key, value = (tensor.contiguous().clone() for tensor in (layer.query, layer.key, layer.value))
            kept.append(replace(layer, query=query, key=key, value=value))

    observe(model, text, watch)
    return kept[0]


def _checked(
    model: Reader, text: Tensor, choice: Choice, known: Findings, phase: Phase, length: int, seconds: float
) -> tuple[float, float]:
    """Seconds of dense attention and of the plan's, each layer with its own tensors."""
    times = [0.0, 0.0]
    whole = (0,) * known.sizes.kv_heads

    def watch(number: int, layer: Layer) -> None:
        if known.special[number]:
            return
        dense, plan = layer_micros(layer, known.candidates, [whole, choice[number]], phase, length, seconds)
        times[0] += dense / 1e6
        times[1] += plan / 1e6

    observe(model, text, watch)
    return times[0], times[1]


def _plan(name: str, found: Sequence[Assigned], dense_below: int) -> Plan:
    sizes = found[0].findings.sizes
    uses = {
        candidate.name: replace(candidate.use, dense_below=dense_below)
        for each in found
        for one in sorted({one for row in each.choice for one in row} - {0})
        for candidate in [each.findings.candidates[one]]
    }
    rules = [
        rule
        for each in found
        for rule in rules_for([[each.findings.candidates[one].name for one in row] for row in each.choice], each.phase)
    ]
    told = [
        f"{each.phase}: at most {each.budget:g} of the time of dense attention with {each.costs.length:,} keys on "
        f"{each.costs.where}, {each.costs.kind}"
        for each in found
    ]
    about = f"Found by attncc assign for KV heads; {'; '.join(told)}."
    return Plan(name, about, "", "kv", tuple(uses.items()), tuple(rules), sizes)
