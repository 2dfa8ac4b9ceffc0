"""What one trial leaves in the storage, beside its parameters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from archspec.cost import totals
from archspec.plan import NetworkPlan
from archspec.scaling.rule import Rule
from archspec.spec import NetworkSpec
from search.rule_text import constants
from search.summary import stage_words


@dataclass
class Record:
    """Attributes and values; values are None where there is no score."""

    attrs: dict[str, Any] = field(default_factory=dict)
    values: tuple[float, ...] | None = None

    @property
    def state(self) -> str:
        """How the trial ended."""
        return str(self.attrs["state"])

    def frozen(self) -> FrozenTrial:
        """A finished trial that nobody proposed."""
        if self.values is None:
            return create_trial(state=TrialState.FAIL, user_attrs=self.attrs)
        return create_trial(values=self.values, user_attrs=self.attrs)


def counts(attrs: dict[str, Any]) -> bool:
    """Whether a finished trial is one of those that were asked for: it was scored, or trained until
    it was pruned. Told again what is known, it does not count."""
    return attrs["state"] == "scored" or (attrs["state"] == "pruned" and bool(attrs.get("rungs")))


def facts(spec: NetworkSpec, plan: NetworkPlan) -> dict[str, Any]:
    """What a trial records of its network."""
    total = totals(plan)
    # a file beside the space is not beside what the search writes
    text = spec.without_files().dump()
    shape = plan.shape
    return {
        "spec": text,
        "key": architecture_key(spec),
        "name": None,
        "params": total.params,
        "flops": total.flops,
        "activations": total.activations,
        "depth": total.depth,
        "traffic": total.traffic,
        "resolution": f"{shape.height}x{shape.width}",
        "stages": " | ".join(stage_words(stage) for stage in plan.stages),
    }


def rule_facts(rule: Rule, stages: int, phi: float | None) -> dict[str, Any]:
    """What a trial records of the rule that grew its network; factors: None where it has points."""
    return {"rule": rule.dump(), "factors": constants(rule, stages), "phi": phi}


def architecture_key(spec: NetworkSpec) -> str:
    """The same architecture, the same key: names, notes and figures do not count."""
    return hashlib.sha256(spec.architecture().dump().encode()).hexdigest()[:24]
