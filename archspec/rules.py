"""Names of scaling rules: the shipped ones, and those of the dWr family, which need no text."""

from __future__ import annotations

import re

from archspec.errors import LawError, did_you_mean
from archspec.shipped import shipped_rule_spaces, shipped_rules
from archspec.strict import shown

_SHARE = re.compile(r"([dwgrk])([0-9]{1,6}(?:\.[0-9]{1,6})?)")
_LETTERS = {"d": "depth", "w": "width", "g": "group", "r": "resolution", "k": "kernel"}


def dwr_shares(name: str) -> dict[str, float] | None:
    """Shares by knob from a name as pycls writes it, such as `dw` or `d1_w8_g8_r1`; None where it
    is no such name. Letters alone weigh 1; `k` is the kernel, which pycls has not.

    Raises LawError where a knob is weighed twice (facebookresearch/pycls, scaler.py).
    """
    if name in shipped_rules():
        return None
    if set(name) <= set("dwgr") and len(set(name)) == len(name):
        return {_LETTERS[letter]: 1.0 for letter in name}
    shares: dict[str, float] = {}
    for part in name.split("_"):
        found = _SHARE.fullmatch(part)
        if found is None:
            return None
        knob = _LETTERS[found[1]]
        if knob in shares:
            raise LawError(f"rule {shown(name)} weighs {knob} twice")
        shares[knob] = float(found[2])
    return shares


def check_name(name: str) -> str:
    """The name of a rule that is there, as it is shipped: `ResNet-RS` is resnet_rs, too.

    Raises LawError with the nearest.
    """
    plain = name.casefold().replace("-", "_")
    if plain in shipped_rules() or plain in shipped_rule_spaces():
        name = plain
    if name in shipped_rule_spaces():
        raise LawError(
            f"{name} is a space of rules: archspec search --scaling SPEC --rule {name} searches it"
        )
    if name not in shipped_rules() and dwr_shares(name) is None:
        known = did_you_mean(name, [*shipped_rules(), "d1_w8_g8_r1"])
        raise LawError(f"no scaling rule is called {shown(name)}: {known}; a path ends in .yaml")
    return name


__all__ = ["check_name", "dwr_shares"]
