"""What every run folder needs: records and files that appear whole, a lock, versions, a name."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from archspec.errors import RunError
from archspec.strict import law_of

Record = TypeVar("Record")


def now() -> str:
    """This moment, to the second, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def write_whole(path: Path, text: str) -> None:
    """Write a text, whole or not at all: a kill in between leaves the old file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def read_record(folder: Path, name: str, kind: type[Record], noun: str) -> Record:
    """What a run was asked, from the JSON file of that name; raises RunError.

    kind: a pydantic dataclass. noun: what such a folder is called.
    """
    file = folder / name
    try:
        return TypeAdapter(kind).validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{folder} is no {noun}: it has no {name}") from None
    except ValidationError as error:
        law = law_of(error)
        reason = "".join(f"{part}: " for part in law.path) + law.problem
    except OSError as error:
        reason = str(error.strerror)
    raise RunError(f"{file} is damaged or of another version: {reason}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time works on a run; the lock goes with the process, even if killed."""
    import fcntl

    try:
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror}") from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"{folder} is being worked on by another process") from None
        yield


def versions_of(names: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of packages that a result depends on."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a fact worth recording, not a failure
            found[name] = "absent"
    return found


def changed_versions(was: dict[str, str]) -> list[str]:
    """Those of the recorded versions that are others here, such as `torch 2.12 -> 2.13`."""
    here = versions_of([name for name in was if name != "python"])
    return [f"{name} {old} -> {here[name]}" for name, old in was.items() if here[name] != old]


@contextmanager
def written(path: Path) -> Iterator[None]:
    """While open, what the system refuses to write there is a RunError."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error


def make_folder(path: Path, record: str) -> None:
    """A new or empty folder for a run; raises RunError, and names `record` where one is there."""
    if (path / record).exists():
        raise RunError(
            f"{path} holds a run already: `archspec resume {path}` goes on with it, "
            "--out names another folder"
        )
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; --out names a folder")
    if path.is_dir() and any(path.iterdir()):
        raise RunError(f"{path} is not empty; --out names a new or empty folder")
    with written(path):
        path.mkdir(parents=True, exist_ok=True)


def numbered(stem: str) -> Iterator[Path]:
    """runs/STEM, runs/STEM-2, ...: where runs without --out go."""
    number = 1
    while True:
        yield Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        number += 1


def free_folder(stem: str) -> Path:
    """The first of them that is not there yet."""
    return next(path for path in numbered(stem) if not path.exists())
