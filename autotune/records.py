"""What does the library hold of one task? Trials and samples, found again by what they are of, and kept at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from attncc.autotune.lane import Lane
from attncc.ir.schedule import Schedule
from attncc.library.entry import LibraryEntry, Sample, Stage, Trial
from attncc.library.key import KernelKey
from attncc.library.store import KernelLibrary


@dataclass(slots=True)
class Records:
    """The part of a library that belongs to a key; `refresh` sees what other processes have added."""

    library: KernelLibrary
    key: KernelKey
    _schedules: dict[tuple[Schedule, str], Trial] = field(default_factory=dict)
    _sources: dict[str, Trial] = field(default_factory=dict)

    @property
    def session(self) -> str:
        return self.library.session

    def refresh(self) -> int:
        """Reads the trials again; returns how many there are."""
        trials = self.library.trials(self.key)
        self._schedules = {(trial.schedule, trial.source): trial for trial in trials}
        self._sources = {trial.source: trial for trial in reversed(trials) if trial.source}
        return len(trials)

    def trial(self, schedule: Schedule, source: str) -> Trial | None:
        """The trial of this schedule when its source was this one."""
        return self._schedules.get((schedule, source))

    def twin(self, source: str) -> Trial | None:
        """The trial of any schedule that gave this source."""
        return self._sources.get(source)

    def keep(self, trial: Trial) -> None:
        self._schedules[trial.schedule, trial.source] = trial
        if trial.source:
            self._sources.setdefault(trial.source, trial)
        self.library.add_trial(self.key, trial)

    def lane(self, stage: Stage, source: str) -> Lane:
        """The samples of this source that are there already."""
        samples = self.library.samples(self.key, stage)
        return Lane.of((sample.micros, sample.control) for sample in samples if sample.source == source)

    def keep_sample(self, stage: Stage, sample: Sample) -> None:
        self.library.add_sample(self.key, stage, sample)

    def decision(self) -> LibraryEntry | None:
        return self.library.decision(self.key)

    def decide(self, entry: LibraryEntry) -> None:
        self.library.put(entry)
