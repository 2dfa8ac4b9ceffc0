"""A PostgreSQL server of the tests' own, in a temporary folder; what tests of it share."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest


class Server:
    """A server on a free port of this machine; whoever can reach it may come in."""

    def __init__(self, binaries: Path, folder: Path, port: int, user: str | None) -> None:
        self._binaries, self._data, self._user = binaries, folder / "data", user
        self.port = port
        self._numbers = count()
        # it refuses to be run by root
        self._run("initdb", "--auth=trust", "--username=tester", "--encoding=UTF8", "--no-sync")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self._data.parent} -c listen_addresses=127.0.0.1 -F"
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self._data.parent / "log"), "start")

    def stop(self) -> None:
        """Stop it as a crash would."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def database(self) -> str:
        """The address of a new database."""
        name = f"trials{next(self._numbers)}"
        self.ask(f"CREATE DATABASE {name}")
        return self.address(name)

    def address(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Ask the server itself something; rows where there are any."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            answer = connection.execute(query)
            return answer.fetchall() if answer.description else []

    def drop_connections(self, database: str) -> int:
        """End all connections to a database as a failing network would; returns how many."""
        name = database.rsplit("/", 1)[1]
        found = self.ask(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        return len(found)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, "-D", self._data, *arguments],
            check=True,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            cwd=self._data.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def postgres() -> Iterator[Server]:
    """A server that is up; tests are skipped where PostgreSQL is not installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("needs PostgreSQL's server (initdb, pg_ctl), which is not installed here")
    user = "postgres" if os.geteuid() == 0 else None
    # not pytest's folder, which only its owner may enter
    folder = Path(tempfile.mkdtemp(prefix="archspec-postgres-"))
    try:
        if user is not None:
            shutil.chown(folder, user, user)
        server = Server(binaries, folder, _free_port(), user)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path | None:
    """Debian keeps them by version, off the PATH."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    kept = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(kept, key=lambda path: int(path.parts[-3]), default=None)
    return None if newest is None else newest.parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DroppingProxy:
    """A way to a server on this machine that can fail at a chosen word: the server gets it and
    answers, and the answer is lost with the connection."""

    def __init__(self, port: int) -> None:
        self._server, self._word = port, b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.dropped = False

    def __enter__(self) -> DroppingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def drop_answer_to(self, word: bytes) -> None:
        """Fail once, at the next message that holds this word."""
        self._word = word

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    told = ready.recv(65536)
                    if not told:
                        return
                    (server if ready is client else client).sendall(told)
                    if ready is client and self._word and self._word in told:
                        server.recv(65536)
                        self._word, self.dropped = b"", True
                        return
