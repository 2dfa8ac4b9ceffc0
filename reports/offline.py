"""What makes a page one file that works offline: its parts, and a policy that allows no others."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources


def part(name: str) -> str:
    """The text of a template, style sheet or script of this package."""
    return resources.files("reports").joinpath(name).read_text(encoding="utf-8")


def policy(*scripts: str) -> str:
    """A content security policy: these scripts and no others, no request, no inline handler.

    'unsafe-eval' is for Plotly's WebGL marks, which compile their drawing functions.
    """
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
