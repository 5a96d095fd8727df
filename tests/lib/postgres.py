# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of the tests' own, reached through a socket in its folder."""
import contextlib
import glob
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import pytest

START_SECONDS = 60


class Postgres:
    """One server. start(), stop() and crash() may be called in turn; the data stay."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found or not shutil.which("psql"):
            pytest.skip("PostgreSQL is not installed")
        self.bin = pathlib.Path(found[-1]).parent
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="evlog-postgres-"))
        self.prefix = []
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.run("initdb", "-U", "evlog", "-A", "trust", "--no-sync")

    def run(self, program, *args):
        done = subprocess.run([*self.prefix, str(self.bin / program), "-D", str(self.folder / "data"), *args],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=START_SECONDS, cwd="/", check=False)
        assert done.returncode == 0, done.stdout

    def start(self, durable=True):
        """durable: it may be crashed; else nothing is flushed, which is much faster."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c shared_buffers=16MB"
        options += "" if durable else " -c fsync=off -c full_page_writes=off"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")
        return self

    def crash(self):
        """End as a crash does: what is not in the log on disk is lost."""
        self.run("pg_ctl", "-m", "immediate", "-w", "stop")

    def remove(self):
        if (self.folder / "data" / "postmaster.pid").exists():
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database):
        return f"postgres:///{database}?host={self.folder}&user=evlog"

    def sql(self, database, *statements):
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", "evlog", "-d", database]
        for statement in statements:
            command += ["-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout

    @contextlib.contextmanager
    def session(self, database):
        """One that stays: a function that runs SQL, whose last answer is one row, and waits for it."""
        command = ["psql", "-XqAt", "-h", str(self.folder), "-U", "evlog", "-d", database]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            def run(sql):
                process.stdin.write(f"{sql}\n")
                process.stdin.flush()
                return process.stdout.readline().strip()
            yield run
            process.stdin.close()

    def rows(self, database, *queries):
        """Rows of each query, all of one moment."""
        parts = ", ".join(f"(SELECT coalesce(json_agg(q), '[]') FROM ({query}) q)" for query in queries)
        return [[tuple(row.values()) for row in rows]
                for rows in json.loads(self.sql(database, f"SELECT json_build_array({parts})"))]
