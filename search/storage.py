"""Where finished trials are kept: the SQLite file of one run, or PostgreSQL, shared by many.

PostgreSQL is spoken to by psycopg 3 alone. A run records its database without a password:
PGPASSWORD, ~/.pgpass or the address given again tell it.
"""

from __future__ import annotations

import errno
import importlib.util
import re
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archspec.errors import RunError

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.engine.interfaces import ExceptionContext

    from search.trial_storage import TrialStorage

Answer = TypeVar("Answer")
#: what a person is told while something is tried again
Tell = Callable[[str], None]

#: seconds between one try and the next; five minutes in all
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, *[30.0] * 9)
#: a machine that fell silent is noticed after half a minute, by either side
SILENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4",
}
#: classes and codes of SQLSTATE after which another try may do: lost connections, a server that
#: stops, starts or has no room for one more
_PASSING = ("08", "57P", "25P03", "53300")
#: the same: a lock that was waited for, deadlocks
_BUSY = ("55P03", "40")
_DISK_FULL = "53100"
_KEPT = "every finished trial is kept"
_FORM = "postgresql://USER@HOST/DATABASE"


class Unanswered(RunError):
    """A database that does not answer, or not now."""


def open_storage(where: str | Path) -> TrialStorage:
    """The storage at a path (SQLite) or at an address (postgresql://..., sqlite:///...), its tables
    made where missing.

    Raises RunError where it is of another kind, absent, damaged or unwritable; a server that is not
    there is told at once, not waited for.
    """
    from sqlalchemy import event

    from search.trial_storage import TrialStorage

    url = _parsed(where)
    shared = url.get_backend_name() == "postgresql"
    told = without_password(str(where)) if shared else str(url.database)
    # RDBStorage fills templates in addresses
    text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    arguments: dict[str, Any] = (
        {"pool_pre_ping": True} if shared else {"connect_args": {"timeout": 60}}
    )
    try:
        with _alone_in(url) if shared else _nothing():
            storage = TrialStorage(text, arguments)
    except Exception as error:
        # what SQLAlchemy, Alembic and Optuna raise for a foreign, damaged or unreachable one
        found = trouble(error)
        if found is None or isinstance(found, Unanswered):
            found = RunError(f"{told} cannot be used: {_reason(error)}")
        raise found from error

    @event.listens_for(storage.engine, "handle_error")
    def _as_ours(context: ExceptionContext) -> BaseException | None:
        # Optuna hides the cause in advice on its own
        return None if context.is_pre_ping else trouble(context.original_exception)

    # pooled connections end with their storage, not when their garbage is found
    weakref.finalize(storage, storage.engine.dispose)
    return storage


def steady(
    action: Callable[[], Answer],
    tell: Tell = lambda text: None,
    pauses: Sequence[float] = PAUSES,
) -> Answer:
    """Do something with a database, again and again while it does not answer.

    The action must bear to be done twice, for the answer to the first may be what was lost; a trial
    is written by Ledger.write. pauses: seconds between the tries. Raises RunError after the last,
    and at once where the disk is full.
    """
    for pause in (*pauses, None):
        try:
            return action()
        except Exception as error:
            found = trouble(error)
            if found is None:
                raise
            if not isinstance(found, Unanswered):
                raise found from error
            if pause is None:
                raise RunError(
                    f"{found}, {sum(pauses):.0f} s long; {_KEPT}, and `archspec resume RUN` goes "
                    "on when it does again"
                ) from error
            tell(f"{found}; trying again in {pause:g} s")
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def trouble(error: BaseException) -> RunError | None:
    """What an error of a database, or under one of its errors, comes to: Unanswered, a RunError
    where the disk is full, or None where it is neither."""
    for cause in _causes(error):
        if isinstance(cause, RunError):
            return cause
        if _is_full(cause):
            return RunError(
                f"the disk is full: {_reason(cause)}; {_KEPT}; free some room, then `archspec "
                "resume RUN`"
            )
        if _is_busy(cause):
            return Unanswered("another process holds the database's lock")
        if _passes(cause):
            return Unanswered(f"the database does not answer ({_reason(cause)})")
    return None


def is_address(text: str) -> bool:
    """Whether a text is an address, not a path."""
    return "://" in text


def without_password(url: str) -> str:
    """A PostgreSQL address as it may be shown and kept: as it was given, save for its passwords."""
    url = re.sub(r"(?<=://)([^/?#@:]*):[^@]*@([^/?#@]*@)*", r"\1@", url)
    url = re.sub(r"(?<=[?&])(ssl)?password=[^&#]*&?", "", url)
    return url.rstrip("?&")


def postgresql_url(text: str) -> URL:
    """A PostgreSQL address, read; raises RunError where it is of another kind or psycopg absent."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    told = without_password(text)
    try:
        url = make_url(re.sub(r"^postgres(?=[:+])", "postgresql", text))
    except (ArgumentError, ValueError):
        raise RunError(f"{told!r} is no address of a database; it looks so: {_FORM}") from None
    if url.get_backend_name() != "postgresql":
        raise RunError(
            f"a shared study lives on PostgreSQL, {_FORM}, but got {told!r}; without --storage it "
            "is kept in the run folder"
        )
    if not url.database:
        raise RunError(f"{told!r} names no database; it looks so: {_FORM}")
    if importlib.util.find_spec("psycopg") is None:
        raise RunError(
            "a study on PostgreSQL needs psycopg 3, which is not installed: "
            "pip install 'archspec-vision[postgresql]'"
        )
    if (password := url.query.get("password")) is not None:
        url = url.set(password=str(password)).difference_update_query(["password"])
    missing = {name: value for name, value in SILENCE.items() if name not in url.query}
    return url.set(drivername="postgresql+psycopg").update_query_dict(missing)


def connection_arguments(url: URL) -> dict[str, Any]:
    """What psycopg.connect takes for an address."""
    named: dict[str, Any] = url.translate_connect_args(username="user", database="dbname")
    return named | dict(url.query)


def _parsed(where: str | Path) -> URL:
    from sqlalchemy import URL, make_url

    if isinstance(where, Path) or not is_address(where):
        return URL.create("sqlite", database=str(Path(where).resolve()))
    if where.startswith("sqlite:"):
        return make_url(where)
    return postgresql_url(where)


@contextmanager
def _alone_in(url: URL) -> Iterator[None]:
    """Two that make the tables of a new database at once would meet each other's halves."""
    import psycopg

    with psycopg.connect(autocommit=True, **connection_arguments(url)) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('archspec tables'))")
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all under it: what was translated into it, or was being handled."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [getattr(found, "orig", None), found.__cause__, found.__context__]


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, sqlite3.Error):
        return _code(error) == sqlite3.SQLITE_FULL
    return getattr(error, "sqlstate", None) == _DISK_FULL


def _is_busy(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return str(getattr(error, "sqlstate", None)).startswith(_BUSY)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; extended ones keep it in their low byte."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _passes(error: BaseException) -> bool:
    """Whether it is psycopg's word for a lost connection or a server that is away."""
    if not type(error).__module__.startswith("psycopg"):
        return False
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_PASSING)
    # libpq's own errors have no code: of what was sent or awaited, or of connecting
    return any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
