"""Who works on what: so that machines that share a study neither score nor write anything twice.

A coordinator claims a trial before it evaluates it. A claim counts while its owner lives, and that
needs no heartbeat: the owner holds an advisory lock on a connection of its own, which the server
frees as soon as it sees the connection end, of a coordinator killed by -9 at once. Then others may
take the claim. What keeps a study right is not that anybody is told in time, but the rows: a trial
is written in one transaction with the mark that its claim is done, and without a claim not at all.

    archspec_claims (study_id, number, key, owner, done, since)

`number`, by which a trial was asked for, is claimed once, and so is `key`, the architecture that it
scores. Rows that are done stay, so both are also written once.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from archspec.errors import RunError
from search.storage import (
    PAUSES,
    Tell,
    connection_arguments,
    is_address,
    postgresql_url,
    steady,
    trouble,
    without_password,
)

if TYPE_CHECKING:
    import optuna
    import psycopg
    from optuna.trial import FrozenTrial
    from sqlalchemy import Connection

    from search.trial_storage import TrialStorage

Answer = TypeVar("Answer")

#: classes of advisory locks: `arc` and a number of ours
_TURN, _OWNER = 0x61726301, 0x61726302
#: after so many seconds a person is told that a turn is waited for, and so often it is waited
_PATIENCE, _TURNS_WAITED = 20, 45
#: claims from before a restart of the server count so many seconds longer: their owners are still
#: to come back
_COME_BACK = 45

_TABLES = """
SELECT pg_advisory_xact_lock(hashtext('archspec tables'));
CREATE SEQUENCE IF NOT EXISTS archspec_owners AS integer CYCLE;
CREATE TABLE IF NOT EXISTS archspec_claims (
    study_id integer NOT NULL REFERENCES studies ON DELETE CASCADE,
    number integer NOT NULL, key text NOT NULL, owner integer NOT NULL,
    done boolean NOT NULL DEFAULT false, since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (study_id, number));
CREATE UNIQUE INDEX IF NOT EXISTS archspec_claims_keys
    ON archspec_claims (study_id, key) WHERE key <> '';
"""
#: settings of the connection, each where the server knows it: to see a dead client while it waits
#: for a lock is new in PostgreSQL 14
_SETTINGS = f"""
SELECT set_config(name, value, false)
FROM (VALUES ('client_connection_check_interval', '5000'), ('lock_timeout', '{_PATIENCE}s'))
    AS wanted (name, value) JOIN pg_settings USING (name)
"""
#: of a claim `c`: whether its owner lives, or may yet come back
_LIVES = f"""(EXISTS (
        SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted
        AND l.classid = {_OWNER} AND l.objid = c.owner AND l.objsubid = 2)
    OR (c.since < pg_postmaster_start_time()
        AND clock_timestamp() < pg_postmaster_start_time() + interval '{_COME_BACK} seconds'))"""

#: of claims `c`: those of one kind
_KIND = "study_id = (SELECT study_id FROM studies WHERE study_name = %(name)s)"
_MINE = "owner = ANY(%(mine)s::integer[])"
#: our own claim of a number, done or not
_OURS = f"FROM archspec_claims c WHERE {_KIND} AND number = %(number)s AND {_MINE}"
#: a number's claim that is done
_WRITTEN = f"FROM archspec_claims c WHERE {_KIND} AND number = %(number)s AND done"
#: a claim of it that gives way: our own, or one whose owner is gone, of the key, too
_FREE = f"""DELETE FROM archspec_claims c WHERE {_KIND} AND NOT done
    AND ((number = %(number)s AND ({_MINE} OR NOT {_LIVES}))
        OR (key = %(key)s AND key <> '' AND NOT {_LIVES}))"""
#: claims whose owners are gone
_LOST = f"""DELETE FROM archspec_claims c WHERE {_KIND} AND NOT done AND NOT {_MINE}
    AND NOT {_LIVES}"""
_TAKE = """INSERT INTO archspec_claims (study_id, number, key, owner)
    SELECT study_id, %(number)s, %(key)s, %(owner)s FROM studies WHERE study_name = %(name)s
    ON CONFLICT DO NOTHING"""
_CLAIMED = f"""SELECT number, key FROM archspec_claims c
    WHERE {_KIND} AND NOT done AND NOT {_MINE} AND {_LIVES}"""
#: a new owner's take-over of what it had under earlier names
_KEEP = """UPDATE archspec_claims SET owner = %s, since = clock_timestamp()
    WHERE NOT done AND owner = ANY(%s::integer[])"""
_GIVE = "DELETE FROM archspec_claims WHERE NOT done AND owner = ANY(%s::integer[])"
#: in SQLAlchemy's notation, for it goes with a trial
_END = """UPDATE archspec_claims SET done = true WHERE NOT done AND number = :number
    AND study_id = (SELECT study_id FROM studies WHERE study_name = :name)
    AND owner = ANY(CAST(:mine AS integer[]))"""


class Ledger(Protocol):
    """What a coordinator asks of it. kind: of trials. number: by which a trial was asked for."""

    def turn(self) -> AbstractContextManager[None]:
        """While open, no other coordinator of the study is in its turn: read, ask and claim."""

    def claimed(self, kind: str) -> dict[int, str]:
        """Architecture keys by number of what other coordinators that live have in work."""

    def claim(self, kind: str, number: int, key: str) -> bool:
        """Take a trial, or take it with another key; False where it or the key is another's by now,
        or written: then read again what is finished.

        key: of the architecture that is to be scored, empty where nothing is, as of a repeat. Who
        takes it with another key must have it still.
        """

    def settled(self, kind: str) -> bool:
        """Whether no other coordinator has anything in work; in a turn. What those had whose
        connection is lost is theirs no more, so that nothing of it is written later."""

    def owns(self, kind: str, number: int) -> bool:
        """Whether a claim is still ours; not where the connection was lost and another took it."""

    def written(self, kind: str, number: int) -> bool:
        """Whether a trial of this number was written, by whomever."""

    def write(self, kind: str, number: int, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Add a finished trial and end its claim, both or neither, however often connections are
        lost; False where the claim was not ours any more, and nothing is written."""

    def close(self) -> None:
        """Give all claims back."""


def open_ledger(
    where: str,
    study: str | None,
    storage: TrialStorage,
    tell: Tell = lambda text: None,
    pauses: Sequence[float] = PAUSES,
) -> Ledger:
    """The ledger of a study at an address of `open_storage`; one on SQLite is worked on alone.

    study: the run's name in a shared database, where its studies are called STUDY/KIND.
    """
    if where.startswith("sqlite:") or not is_address(where):
        return Alone(tell, pauses)
    if study is None:
        raise RunError("run.json is damaged: `storage` and `study` go together")
    return Shared(where, study, storage, tell, pauses)


class Alone:
    """One coordinator, which the lock of its run folder sees to."""

    def __init__(self, tell: Tell = lambda text: None, pauses: Sequence[float] = PAUSES) -> None:
        self._tell, self._pauses = tell, pauses

    def turn(self) -> AbstractContextManager[None]:
        """Always ours."""
        return nullcontext()

    def claimed(self, kind: str) -> dict[int, str]:
        """Nothing."""
        return {}

    def claim(self, kind: str, number: int, key: str) -> bool:
        """Granted."""
        return True

    def settled(self, kind: str) -> bool:
        """Always."""
        return True

    def owns(self, kind: str, number: int) -> bool:
        """Always."""
        return True

    def written(self, kind: str, number: int) -> bool:
        """Not known here, where claims are granted."""
        return False

    def write(self, kind: str, number: int, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Add a finished trial; a file that is locked is waited for."""
        steady(lambda: study.add_trial(trial), self._tell, self._pauses)
        return True

    def close(self) -> None:
        """Nothing to do."""


class _Lost(Exception):
    """A claim that is not ours any more; undoes what was written under it."""


class Shared:
    """Any number of coordinators on one PostgreSQL database, of which a process is one; workers are
    not to be forked from it, for they would keep its connection open.

    tell: hears what is waited for.
    """

    def __init__(
        self,
        url: str,
        study: str,
        storage: TrialStorage,
        tell: Tell = lambda text: None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._url, self._arguments = (
            without_password(url),
            connection_arguments(postgresql_url(url)),
        )
        self._study, self._storage, self._tell, self._pauses = study, storage, tell, pauses
        #: ours since the beginning, one a connection, the present one last
        self._owners: list[int] = []
        self._connection: psycopg.Connection[Any] | None = None
        self._in_turn = False
        #: kinds and numbers of what was claimed here
        self._had: set[tuple[str, int]] = set()
        self._lock = (_TURN, zlib.crc32(study.encode()) - 2**31)
        self._do(lambda connection: None)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While open, no other coordinator of the study is in its turn."""
        self._do(self._take_turn)
        self._in_turn = True
        try:
            yield
        finally:
            self._in_turn = False
            self._give_turn()

    def claimed(self, kind: str) -> dict[int, str]:
        """Architecture keys by number of what other coordinators that live have in work."""
        return self._do(lambda connection: dict(connection.execute(_CLAIMED, self._named(kind))))

    def claim(self, kind: str, number: int, key: str) -> bool:
        """Take a trial, or take it with another key; False where it or the key is another's by now,
        or written."""
        import psycopg

        def taken(connection: psycopg.Connection[Any]) -> bool:
            named = self._of(kind, number) | {"key": key, "owner": self._owners[-1]}
            with connection.transaction():
                if again and not connection.execute(f"SELECT {_OURS} AND NOT done", named).rowcount:
                    return False  # what was taken from us is not taken back
                connection.execute(_FREE, named)
                won = connection.execute(_TAKE, named).rowcount == 1
                if not won:
                    raise psycopg.Rollback  # what we had of it stays ours
            return won

        again = key != "" and (kind, number) in self._had
        won = self._do(taken)
        if won:
            self._had.add((kind, number))
        return won

    def settled(self, kind: str) -> bool:
        """Whether no other coordinator has anything in work; what the lost had is theirs no
        more."""

        def freed(connection: psycopg.Connection[Any]) -> None:
            connection.execute(_LOST, self._named(kind))

        self._do(freed)
        # who came back in between is at work
        return not self.claimed(kind)

    def owns(self, kind: str, number: int) -> bool:
        """Whether a claim is still ours; not where the connection was lost and another took it."""
        return self._any(f"SELECT {_OURS} AND NOT done", kind, number)

    def written(self, kind: str, number: int) -> bool:
        """Whether a trial of this number was written, by whomever."""
        return self._any(f"SELECT {_WRITTEN}", kind, number)

    def write(self, kind: str, number: int, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Add a finished trial and end its claim, both or neither; whether it was done."""
        from sqlalchemy import text

        def settle(connection: Connection) -> None:
            if connection.execute(text(_END), self._of(kind, number)).rowcount != 1:
                raise _Lost

        def attempt() -> bool:
            try:
                with self._storage.checked(settle):
                    study.add_trial(trial)
            except _Lost:
                # an attempt whose answer was lost may be what ended the claim
                return self._any(f"SELECT {_OURS} AND done", kind, number)
            return True

        return steady(attempt, self._tell, self._pauses)

    def close(self) -> None:
        """Give all claims back."""
        import psycopg

        if self._connection is not None:
            with suppress(psycopg.Error):  # claims end with the connection
                self._connection.execute(_GIVE, (self._owners,))
            self._connection.close()
            self._connection = None

    # The connection ------------------------------------------------------------------------------

    def _named(self, kind: str) -> dict[str, Any]:
        return {"name": f"{self._study}/{kind}", "mine": self._owners}

    def _of(self, kind: str, number: int) -> dict[str, Any]:
        return self._named(kind) | {"number": number}

    def _any(self, asked: str, kind: str, number: int) -> bool:
        return self._do(
            lambda connection: bool(connection.execute(asked, self._of(kind, number)).fetchall())
        )

    def _do(self, work: Callable[[psycopg.Connection[Any]], Answer]) -> Answer:
        """Something with the connection, made anew where it was lost; `work` may be done twice."""
        return steady(lambda: self._try(work), self._tell, self._pauses)

    def _try(self, work: Callable[[psycopg.Connection[Any]], Answer]) -> Answer:
        import psycopg

        try:
            return work(self._connected())
        except psycopg.Error as error:
            found = trouble(error)
            if found is None:
                raise RunError(f"{self._url} cannot be used: {error}") from error
            raise found from error

    def _connected(self) -> psycopg.Connection[Any]:
        """The connection, whose lock shows that we live; claims of an earlier one are taken along,
        those that nobody took in between."""
        import psycopg

        if self._connection is not None and not self._connection.closed:
            return self._connection
        connection = psycopg.connect(autocommit=True, **self._arguments)
        try:
            connection.execute(_SETTINGS)
            if connection.execute("SELECT to_regclass('archspec_claims')").fetchone() == (None,):
                connection.execute(_TABLES)
            (owner,) = connection.execute("SELECT nextval('archspec_owners')::integer").fetchall()[
                0
            ]
            connection.execute("SELECT pg_advisory_lock(%s, %s)", (_OWNER, owner))
            self._owners.append(owner)
            connection.execute(_KEEP, (owner, self._owners))
            if self._in_turn:
                self._take_turn(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _take_turn(self, connection: psycopg.Connection[Any]) -> None:
        import psycopg

        for waited in range(1, _TURNS_WAITED + 1):
            try:
                connection.execute("SELECT pg_advisory_lock(%s, %s)", self._lock)
                return
            except psycopg.errors.LockNotAvailable:
                self._tell(f"another machine has its turn since {waited * _PATIENCE} s; waiting")
        raise RunError(
            f"another machine has had its turn at {self._study} for "
            f"{_TURNS_WAITED * _PATIENCE} s; is its process stopped? End it, then `archspec resume "
            "RUN`"
        )

    def _give_turn(self) -> None:
        import psycopg

        if self._connection is not None and not self._connection.closed:
            try:
                self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", self._lock)
            except psycopg.Error:
                self._connection.close()  # which ends it, too
