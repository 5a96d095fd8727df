# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of a benchmark's own: reached by a socket in its folder, every commit flushed."""
import glob
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import brokers

SETTINGS = ("listen_addresses=", "fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=256MB",
            "max_wal_size=4GB")


class Postgres(brokers.Broker):
    def __init__(self, folder: Path, program: Path):
        super().__init__(folder, folder, "postgres")
        self.bin = program.parent
        self.prefix = []
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    @classmethod
    def found(cls, folder: Path):
        """None when it is not installed."""
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        return cls(folder, Path(programs[-1])) if programs and shutil.which("psql") else None

    def settings(self) -> str:
        return ("PostgreSQL: Debian's defaults but " + ", ".join(SETTINGS[1:]) + "; reached by a Unix socket, its data "
                "on the file system of evlog's")

    def version(self) -> str:
        return subprocess.run([str(self.bin / "postgres"), "--version"], capture_output=True, text=True,
                              check=True).stdout.strip()

    def format(self) -> None:
        if self.prefix:
            account = pwd.getpwnam("postgres")
            for path in (self.folder, self.data):
                os.chown(path, account.pw_uid, account.pw_gid)
            os.chmod(self.folder.parent, 0o711)  # the folder of the run; those above it are the user's
        self.run("initdb", "-U", "evlog", "-A", "trust")

    def run(self, program: str, *args: str) -> None:
        done = subprocess.run([*self.prefix, str(self.bin / program), "-D", str(self.data), *args],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=brokers.PATIENCE_S, cwd="/", check=False)
        if done.returncode != 0:
            raise SystemExit(done.stdout)

    def start(self, fresh: bool = True) -> float:
        if fresh:
            self.clear()
        options = " ".join(f"-c {setting}" for setting in SETTINGS) + f" -c unix_socket_directories={self.folder}"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")
        return 0

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-m", "fast", "-w", "stop")

    def sql(self, text: str) -> str:
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", "evlog", "-d", "postgres",
                   "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, timeout=brokers.PATIENCE_S, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def database(self, name: str) -> str:
        """Make one. Returns its address, as libpq takes it."""
        self.sql(f"CREATE DATABASE {name}")
        return f"postgres:///{name}?host={self.folder}&user=evlog"

    def drop(self, name: str) -> None:
        self.sql(f"DROP DATABASE {name}")
