"""What becomes of a schedule in another space of schedules?"""

from __future__ import annotations

from attncc.ir.schedule import Schedule, SearchSpace


def adopted(schedule: Schedule, space: SearchSpace) -> Schedule | None:
    """The legal schedule of `space` with the choices of `schedule` where it offers them, its defaults elsewhere; None
    if there is no such schedule."""
    if space.holds(schedule):
        return schedule
    wanted = dict(schedule.choices)
    taken = {knob.name: wanted.get(knob.name, knob.default) for knob in space.knobs}
    near = Schedule(tuple((k.name, taken[k.name] if taken[k.name] in k.choices else k.default) for k in space.knobs))
    return near if space.holds(near) else None
