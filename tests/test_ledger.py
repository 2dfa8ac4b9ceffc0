"""Who works on what: claims of coordinators that come, die and lose their connections."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import NamedTuple

import optuna
import pytest
from coordinators import LATE, until
from optuna.trial import FrozenTrial, create_trial
from postgres_server import Server, postgres

from archspec.errors import RunError
from search.ledger import Alone, Ledger, Shared, open_ledger
from search.storage import open_storage

optuna.logging.set_verbosity(optuna.logging.WARNING)

KIND = "search"
#: started anew, as a coordinator on another machine is
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as started:
        yield started


class Table(NamedTuple):
    """A coordinator's place at a study."""

    ledger: Ledger
    study: optuna.Study

    def claim(self, number: int, key: str = "") -> bool:
        return self.ledger.claim(KIND, number, key)

    def owns(self, number: int) -> bool:
        return self.ledger.owns(KIND, number)

    def write(self, number: int) -> bool:
        return self.ledger.write(KIND, number, self.study, trial(number))

    @property
    def written(self) -> list[int]:
        return [trial.user_attrs["number"] for trial in self.study.get_trials()]


Sit = Callable[[str], Table]


@pytest.fixture
def sit() -> Iterator[Sit]:
    """Coordinators of a database, who leave when the test ends."""
    with ExitStack() as leaving:

        def opened(address: str) -> Table:
            table = at(address)
            leaving.enter_context(closing(table.ledger))
            return table

        yield opened


def at(address: str) -> Table:
    storage = open_storage(address)
    study = optuna.create_study(
        study_name=f"run/{KIND}", storage=storage, direction="maximize", load_if_exists=True
    )
    return Table(open_ledger(address, "run", storage, pauses=(0, 0.1, 0.2, 0.5, 1, 1)), study)


def trial(number: int) -> FrozenTrial:
    return create_trial(values=[float(number)], user_attrs={"number": number})


def test_on_sqlite_one_works_alone(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "study.db")
    study = optuna.create_study(study_name=KIND, storage=storage)
    ledger = open_ledger(str(tmp_path / "study.db"), None, storage)
    assert isinstance(ledger, Alone)
    with ledger.turn():
        assert ledger.claim(KIND, 0, "key")
    assert ledger.claimed(KIND) == {}
    assert ledger.owns(KIND, 0)
    assert ledger.write(KIND, 0, study, trial(0))
    assert [trial.value for trial in study.get_trials()] == [0.0]
    ledger.close()


def test_a_shared_run_has_a_name(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "study.db")
    with pytest.raises(RunError, match="`storage` and `study` go together"):
        open_ledger("postgresql://db/trials", None, storage)


@pytest.mark.postgresql
def test_others_see_what_is_in_work_and_leave_it(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    assert one.claim(0, "k0")
    assert two.ledger.claimed(KIND) == {0: "k0"}
    assert one.ledger.claimed(KIND) == {}
    assert not two.claim(0, "k9")  # the number
    assert not two.claim(1, "k0")  # the architecture
    assert two.claim(1, "")
    assert two.claim(2, "")  # nothing is scored by either
    assert not two.claim(1, "k0")
    assert one.ledger.claimed(KIND) == {1: "", 2: ""}  # what could not be had did no harm
    assert two.claim(1, "k1")


@pytest.mark.postgresql
def test_a_trial_is_written_by_its_owner_and_once(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    assert one.claim(0, "k0")
    assert not two.ledger.written(KIND, 0)
    assert not two.write(0)
    assert one.write(0)
    assert two.ledger.written(KIND, 0)
    assert not one.owns(0)
    assert not two.write(0)
    assert not two.claim(0, "k1")
    assert not two.claim(1, "k0")  # it has its score
    assert one.ledger.claimed(KIND) == two.ledger.claimed(KIND) == {}
    assert two.written == [0]


@pytest.mark.postgresql
def test_a_coordinator_that_leaves_gives_all_back(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = at(address), sit(address)
    assert one.claim(0, "k0")
    one.ledger.close()
    assert two.ledger.claimed(KIND) == {}
    assert two.claim(1, "k0")


@pytest.mark.postgresql
def test_runs_in_one_database_do_not_meet(server: Server, sit: Sit) -> None:
    address = server.database()
    one = sit(address)
    storage = open_storage(address)
    study = optuna.create_study(study_name=f"other/{KIND}", storage=storage)
    with closing(open_ledger(address, "other", storage)) as other:
        assert one.claim(0, "k0")
        assert other.claim(KIND, 0, "k0")
        assert other.write(KIND, 0, study, trial(0))
    assert one.owns(0)
    assert one.written == []


@pytest.mark.postgresql
def test_claims_go_with_a_study_that_is_deleted(server: Server, sit: Sit) -> None:
    address = server.database()
    one = sit(address)
    assert one.claim(0, "k0")
    assert one.write(0)
    optuna.delete_study(study_name=f"run/{KIND}", storage=open_storage(address))
    again = sit(address)
    assert again.claim(0, "k0")
    assert again.write(0)
    assert again.written == [0]


@pytest.mark.postgresql
def test_what_the_lost_had_is_theirs_no_more_once_it_is_settled(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    assert one.claim(0)
    assert one.claim(1, "k1")
    assert not two.ledger.settled(KIND)
    assert one.ledger.settled(KIND)
    assert server.drop_connections(address)
    with two.ledger.turn():
        assert two.ledger.settled(KIND)
    assert not one.claim(0, "k0")
    assert not one.write(0)
    assert not one.write(1)
    assert two.written == []
    # a number that is asked for anew is one as any other
    assert one.claim(0)
    assert one.claim(0, "k0")
    assert one.write(0)


# Turns -------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_turns_are_one_after_the_other(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    order: list[str] = []

    def other() -> None:
        with two.ledger.turn():
            order.append("two")

    with one.ledger.turn():
        waiting = threading.Thread(target=other)
        waiting.start()
        until(lambda: bool(server.ask("SELECT pid FROM pg_locks WHERE NOT granted")))
        order.append("one")
    waiting.join(LATE)
    assert order == ["one", "two"]


@pytest.mark.postgresql
def test_a_turn_ends_with_an_error_in_it(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    with pytest.raises(ZeroDivisionError), one.ledger.turn():
        raise ZeroDivisionError
    with two.ledger.turn():
        assert waits_for_its_turn(one.ledger)


def waits_for_its_turn(ledger: Ledger) -> bool:
    """Whether another has the turn; told after milliseconds, where a person waits for minutes."""
    assert isinstance(ledger, Shared)
    assert ledger._connection is not None
    ledger._connection.execute("SET lock_timeout = 1")
    try:
        with ledger.turn():
            return False
    except RunError as error:
        return "another machine has had its turn at run" in str(error)


# Deaths and lost connections ---------------------------------------------------------------------


def sit_down_and_hang(address: str, ready: str) -> None:
    """A coordinator that claims two trials, and in its turn is stopped."""
    table = at(address)
    assert table.claim(0, "k0")
    assert table.claim(1, "k1")
    assert table.write(0)
    with table.ledger.turn():
        Path(ready).touch()
        time.sleep(LATE)


@pytest.mark.postgresql
def test_a_coordinator_killed_in_its_turn_frees_what_it_had(
    server: Server, sit: Sit, tmp_path: Path
) -> None:
    address, ready = server.database(), tmp_path / "ready"
    one = sit(address)
    killed = SPAWN.Process(target=sit_down_and_hang, args=(address, str(ready)), daemon=True)
    killed.start()
    until(ready.exists)
    assert one.ledger.claimed(KIND) == {1: "k1"}
    assert not one.claim(1, "k1")
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    with one.ledger.turn():
        until(lambda: one.ledger.claimed(KIND) == {})
        assert one.claim(1, "k1")
    assert one.write(1)
    assert sorted(one.written) == [0, 1]


@pytest.mark.postgresql
def test_a_lost_connection_keeps_what_nobody_took(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    assert one.claim(0, "k0")
    assert server.drop_connections(address)
    assert one.owns(0)
    assert two.ledger.claimed(KIND) == {0: "k0"}
    assert server.drop_connections(address)
    assert one.write(0)
    assert two.written == [0]


@pytest.mark.postgresql
@pytest.mark.parametrize("claim", [(0, "k0"), (0, "k7"), (5, "k0")])
def test_what_was_taken_over_a_lost_connection_is_another_s(
    server: Server, sit: Sit, claim: tuple[int, str]
) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    assert one.claim(0, "k0")
    assert server.drop_connections(address)
    assert two.claim(*claim)
    assert not one.write(0)  # though its connection was not looked at yet
    assert not one.owns(0)
    assert one.claim(1, "k1")
    assert one.ledger.claimed(KIND) == dict([claim])
    assert two.write(claim[0])
    assert two.written == [claim[0]]


@pytest.mark.postgresql
def test_a_turn_is_held_over_a_lost_connection(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    with one.ledger.turn():
        assert server.drop_connections(address)
        assert one.claim(0, "k0")
        assert not two.claim(0, "k0")
        assert waits_for_its_turn(two.ledger)
    assert not waits_for_its_turn(two.ledger)


@pytest.mark.postgresql
def test_a_server_that_crashes_costs_nobody_anything(server: Server, sit: Sit) -> None:
    address = server.database()
    one, two = sit(address), sit(address)
    assert one.claim(0, "k0")
    assert two.claim(1, "k1")
    assert one.write(0)
    server.stop()
    threading.Timer(0.5, server.start).start()
    with one.ledger.turn():
        # who comes back first does not take what the others are still at
        assert one.ledger.claimed(KIND) == {1: "k1"}
        assert not one.claim(1, "k1")
    assert two.write(1)
    assert one.written == [0, 1]


# Several at once ---------------------------------------------------------------------------------

WANTED = 24


def coordinate(address: str, log: str) -> None:
    """Score and write numbers that nobody is at until there are enough; a line for each score.

    Numbers 2n and 2n + 1 come to the same architecture, which is to be scored once.
    """
    table = at(address)
    while len(table.written) < WANTED:
        with table.ledger.turn():
            taken = {*table.written, *table.ledger.claimed(KIND)}
            number = next(number for number in count() if number not in taken)
            ours = number < WANTED and table.claim(number)
        if not ours:
            time.sleep(0.01)
            continue
        key, twin = f"k{number // 2}", number ^ 1
        while twin not in table.written:
            if table.claim(number, key):
                with Path(log).open("a") as scores:
                    scores.write(f"{key} {number}\n")
                break
            time.sleep(0.01)
        time.sleep(0.01)
        table.write(number)
    table.ledger.close()


@pytest.mark.postgresql
def test_three_write_all_numbers_once_though_one_is_killed(
    server: Server, sit: Sit, tmp_path: Path
) -> None:
    address, log = server.database(), tmp_path / "scores"
    watching = sit(address)
    going = [SPAWN.Process(target=coordinate, args=(address, str(log))) for _ in range(3)]
    for process in going:
        process.start()
    until(lambda: len(watching.written) >= WANTED // 3)
    assert going[0].pid is not None
    os.kill(going[0].pid, signal.SIGKILL)
    for process in going:
        process.join(LATE)
    assert [process.exitcode for process in going] == [-signal.SIGKILL, 0, 0]
    assert sorted(watching.written) == list(range(WANTED))
    # an architecture is begun again only where its scorer was killed
    begun = Counter(line.split()[0] for line in log.read_text().splitlines())
    assert set(begun) == {f"k{number}" for number in range(WANTED // 2)}
    assert sum(begun.values()) <= WANTED // 2 + 1
