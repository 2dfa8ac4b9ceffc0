"""The command line: `archspec COMMAND`; one file a group of commands."""

from __future__ import annotations
