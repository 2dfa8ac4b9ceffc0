"""Where trials are kept: what is written, what is said where it cannot be, what is tried again."""

from __future__ import annotations

import math
import sqlite3
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from postgres_server import DroppingProxy, Server, postgres
from sqlalchemy import event, text

from archspec.errors import RunError
from search.ledger import open_ledger
from search.storage import open_storage, postgresql_url, steady, trouble, without_password
from search.trial_storage import TrialStorage

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as started:
        yield started


def study_of(storage: RDBStorage, directions: int = 1, name: str = "search") -> optuna.Study:
    return optuna.create_study(
        study_name=name,
        storage=storage,
        directions=["maximize"] * directions,
        load_if_exists=True,
    )


def numbered(number: int) -> FrozenTrial:
    return create_trial(values=[float(number)], user_attrs={"number": number})


# What is written ---------------------------------------------------------------------------------

KNOBS = {
    "stages.0.width": (IntDistribution(8, 64, step=8), 24),
    "target": (FloatDistribution(0.25, 1.0, log=True), 0.3),
    "stages.0.block": (CategoricalDistribution(("mbconv", None, True, 3)), None),
}


def odd_trials() -> list[FrozenTrial]:
    """Trials with all that Optuna has a column for."""
    params = {name: value for name, (_, value) in KNOBS.items()}
    domains = {name: domain for name, (domain, _) in KNOBS.items()}
    attrs = {"number": 7, "spec": "name: ü\n", "parts": {"a": [1.5, None]}, "reason": None}
    scored = create_trial(
        values=[math.inf, 4.5e9],
        params=params,
        distributions=domains,
        user_attrs=attrs,
        system_attrs={"constraints": {"scored": 1.0}},
        intermediate_values={1: 10.0, 2: math.nan, 3: -math.inf},
    )
    scored.datetime_start = datetime(2026, 3, 4, 5, 6, 7, 891)
    pruned = create_trial(state=TrialState.PRUNED, params=params, distributions=domains)
    failed = create_trial(state=TrialState.FAIL, user_attrs={"state": "failed"})
    return [scored, pruned, failed]


def check_as_optuna_writes(ours: TrialStorage, optunas: RDBStorage) -> None:
    for storage in (ours, optunas):
        study = study_of(storage, directions=2)
        for trial in odd_trials() * 2:
            study.add_trial(trial)
    read = RDBStorage(ours.url)
    mine, theirs = (
        [as_kept(trial) for trial in study_of(storage, 2).trials] for storage in (read, optunas)
    )
    for storage in (read, optunas):
        storage.engine.dispose()
    assert len(mine) == 6
    assert mine[0]["_datetime_start"] == datetime(2026, 3, 4, 5, 6, 7, 891)
    # as texts, for NaN is not itself
    assert repr(mine) == repr(theirs)


def as_kept(trial: FrozenTrial) -> dict[str, object]:
    """All of a trial, save its id and when it was made where that is the moment."""
    kept = {**vars(trial), "_trial_id": None, "datetime_complete": None}
    assert trial.datetime_complete is not None
    return kept if trial.values else kept | {"_datetime_start": None}


def test_a_trial_is_written_as_optuna_writes_it(tmp_path: Path) -> None:
    check_as_optuna_writes(
        open_storage(tmp_path / "ours.db"), RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
    )


@pytest.mark.postgresql
def test_a_trial_is_written_as_optuna_writes_it_on_postgresql(server: Server) -> None:
    theirs = server.database().replace("postgresql:", "postgresql+psycopg:")
    check_as_optuna_writes(open_storage(server.database()), RDBStorage(theirs))


def test_what_a_check_raises_undoes_the_trial(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "study.db")
    study = study_of(storage)

    def refuse(connection: object) -> None:
        raise LookupError("not yours")

    with storage.checked(refuse), pytest.raises(LookupError, match="not yours"):
        study.add_trial(numbered(0))
    assert not study.get_trials()
    study.add_trial(numbered(1))
    assert [trial.number for trial in study.get_trials()] == [0]


@pytest.mark.parametrize("name", ["a b", "what?", "100%", "#1", "{0}", "{SCHEMA_VERSION}", "a@b:c"])
def test_a_run_folder_may_be_called_anything(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    study_of(open_storage(tmp_path / name / "study.db")).add_trial(numbered(0))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["study.db"]
    assert study_of(open_storage(str(tmp_path / name / "study.db"))).trials[0].value == 0.0


# What is said ------------------------------------------------------------------------------------

ADDRESSES = [
    ("postgresql://eva@db.lan/trials", "postgresql://eva@db.lan/trials"),
    ("postgresql://eva:s3cr3t@db.lan:5433/t", "postgresql://eva@db.lan:5433/t"),
    ("postgresql://eva:s3c/r3t@db.lan/t", "postgresql://eva@db.lan/t"),
    ("postgresql://eva:s3?c@r3t@db.lan/t", "postgresql://eva@db.lan/t"),
    ("postgresql://:s3cr3t@/t?host=/run/pg", "postgresql://@/t?host=/run/pg"),
    ("postgresql://db/t?password=s3cr3t&sslmode=require", "postgresql://db/t?sslmode=require"),
    ("postgresql://db/t?sslpassword=s3cr3t", "postgresql://db/t"),
    ("postgresql:///t", "postgresql:///t"),
    ("nonsense://eva:s3cr3t@db/t", "nonsense://eva@db/t"),
]


@pytest.mark.parametrize(("given", "kept"), ADDRESSES)
def test_a_kept_address_has_no_password(given: str, kept: str) -> None:
    assert without_password(given) == kept


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mysql://eva:s3cr3t@db/trials", "lives on PostgreSQL, postgresql://USER@HOST/DATABASE"),
        ("postgersql://eva:s3cr3t@db/trials", "'postgersql://eva@db/trials'"),
        ("postgresql://eva:s3cr3t@db", "names no database"),
        ("postgresql://eva:s3cr3t@db:port/trials", "is no address of a database"),
        ("postgresql://eva:s3cr3t@127.0.0.1:1/trials", "cannot be used: connection failed"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(address: str, words: str) -> None:
    with pytest.raises(RunError) as told:
        open_storage(address)
    assert words in str(told.value)
    assert "s3cr3t" not in str(told.value)
    assert "\n" not in str(told.value)


def test_psycopg_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RunError, match=r"pip install 'archspec-vision\[postgresql\]'"):
        open_storage("postgresql://db/trials")


@pytest.mark.parametrize(
    "address",
    ["postgres://eva:s3cr3t@db/trials?keepalives_idle=60"]
    + ["postgresql://eva@db/trials?password=s3cr3t&keepalives_idle=60"],
)
def test_a_password_that_is_given_is_used(address: str) -> None:
    url = postgresql_url(address)
    assert (url.drivername, url.password) == ("postgresql+psycopg", "s3cr3t")
    assert (url.query["keepalives_idle"], url.query.get("password")) == ("60", None)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("not a database, " * 1000)
    with pytest.raises(RunError, match=r"study\.db cannot be used: .*file is not a database"):
        open_storage(tmp_path / "study.db")


# What is tried again -----------------------------------------------------------------------------


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "some.db"
    ours, others = (sqlite3.connect(file, timeout=0) for _ in range(2))
    others.execute("CREATE TABLE seen (number)")
    others.execute("BEGIN EXCLUSIVE")
    heard = []

    def tell(told: str) -> None:
        heard.append(told)
        others.rollback()

    steady(lambda: ours.execute("INSERT INTO seen VALUES (1)"), tell, pauses=(0, 0))
    assert ours.execute("SELECT count(*) FROM seen").fetchone() == (1,)
    assert heard == ["another process holds the database's lock; trying again in 0 s"]
    ours.close()
    others.close()


def test_a_database_that_stays_away_ends_in_a_way_to_go_on(tmp_path: Path) -> None:
    file = tmp_path / "some.db"
    ours, others = (sqlite3.connect(file, timeout=0) for _ in range(2))
    others.execute("BEGIN EXCLUSIVE")
    heard: list[str] = []
    with pytest.raises(RunError, match="every finished trial is kept, and `archspec resume RUN`"):
        steady(lambda: ours.execute("CREATE TABLE seen (number)"), heard.append, pauses=(0, 0, 0))
    assert len(heard) == 3
    ours.close()
    others.close()


def test_a_full_disk_is_said_at_once_and_what_was_there_is_kept(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "study.db")
    study = study_of(storage)
    study.add_trial(numbered(0))

    @event.listens_for(storage.engine, "connect")
    def _little_room(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(
            "PRAGMA max_page_count = 1"
        )  # SQLite lets it not sink below what is used

    storage.engine.dispose()
    large = create_trial(values=[1.0], user_attrs={"number": 1, "spec": "x" * 1_000_000})
    heard: list[str] = []
    with pytest.raises(RunError, match=r"the disk is full: .*; free some room, then `archspec"):
        steady(lambda: study.add_trial(large), heard.append)
    assert not heard
    assert [trial.user_attrs["number"] for trial in study_of(storage).trials] == [0]


def test_a_full_disk_under_any_error_is_found() -> None:
    try:
        with Path("/dev/full").open("w") as full:
            full.write("x")
    except OSError as error:
        found = ValueError("could not save")
        found.__cause__ = error
    assert "the disk is full" in str(trouble(found))


def test_any_other_error_is_left_as_it_is() -> None:
    def wrong() -> None:
        raise ZeroDivisionError("of our own")

    with pytest.raises(ZeroDivisionError, match="of our own"):
        steady(wrong, pauses=(0,))


# PostgreSQL --------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_many_may_open_a_new_database_at_once(server: Server) -> None:
    address, failed = server.database(), []
    together = threading.Barrier(4)

    def opened() -> None:
        together.wait()
        try:
            study_of(open_storage(address))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=opened) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.postgresql
def test_connections_that_were_dropped_are_made_anew(server: Server) -> None:
    address = server.database()
    study = study_of(open_storage(address))
    for number in range(3):
        steady(lambda number=number: study.add_trial(numbered(number)), pauses=())  # type: ignore[misc]
        assert server.drop_connections(address)
    assert [trial.value for trial in study.get_trials()] == [0.0, 1.0, 2.0]


@pytest.mark.postgresql
def test_a_server_that_is_away_for_a_while_is_waited_for(server: Server) -> None:
    study = study_of(open_storage(server.database()))
    server.stop()
    heard: list[str] = []

    def tell(told: str) -> None:
        heard.append(told)
        if len(heard) == 2:
            server.start()

    steady(lambda: study.add_trial(numbered(0)), tell, pauses=(0, 0, 0))
    assert [trial.value for trial in study.get_trials()] == [0.0]
    assert all(told.startswith("the database does not answer (") for told in heard)


@pytest.mark.postgresql
def test_a_trial_whose_commit_was_done_but_not_answered_is_written_once(server: Server) -> None:
    address = server.database()
    with DroppingProxy(server.port) as proxy:
        there = address.replace(str(server.port), str(proxy.port))
        storage = open_storage(there)
        study = study_of(storage, name="run/search")
        heard: list[str] = []
        # its own connection is not the one that is lost
        ledger = open_ledger(address, "run", storage, heard.append, pauses=(0, 0, 0))
        assert ledger.claim("search", 0, "key")
        proxy.drop_answer_to(b"COMMIT")
        assert ledger.write("search", 0, study, numbered(0))
        assert proxy.dropped
        assert heard
        assert len(study.get_trials()) == 1
        ledger.close()


@pytest.mark.postgresql
def test_a_full_disk_of_the_server_is_said_at_once(server: Server) -> None:
    storage = open_storage(server.database())
    study = study_of(storage)
    with storage.engine.begin() as connection:
        connection.execute(
            text(
                """CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
                CREATE TRIGGER full_disk BEFORE INSERT ON trials EXECUTE FUNCTION fill()"""
            )
        )
    heard: list[str] = []
    with pytest.raises(RunError, match="the disk is full: could not extend file"):
        steady(lambda: study.add_trial(numbered(0)), heard.append)
    assert not heard


@pytest.mark.postgresql
def test_a_database_that_is_not_there_is_said_at_once(server: Server) -> None:
    with pytest.raises(RunError, match='cannot be used: .*"nowhere" does not exist'):
        open_storage(server.address("nowhere").replace("tester@", "tester:s3cr3t@"))
