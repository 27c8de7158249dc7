"""The release binary under attack: a process with a fresh directory, its memory and its files."""
import asyncio
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import threading
import time

from wire import HOST, Client

ADMIN = {"email": "admin@example.com", "password": "an administrator under attack"}
# Accounts of `serve --demo`: the bystander and the attacker.
BYSTANDER = {"email": "alice@example.com", "password": "chinwag-alice"}
ATTACKER = {"email": "bob@example.com", "password": "chinwag-bob"}
# Threads that hash passwords end after being idle for two seconds.
REST_SECONDS = 3
SAMPLE_SECONDS = 0.05


def mebibytes(size):
    return round(size / (1 << 20), 1)


class Service:
    """One server with default settings, except for the port, the database file, the administrator, and the log level."""

    def __init__(self, binary, directory, settings=()):
        self.binary, self.directory = binary, pathlib.Path(directory)
        self.database = self.directory / "chinwag.db"
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port = free.getsockname()[1]
        self.settings = {
            "PATH": os.environ["PATH"],
            "HOST": HOST,
            "PORT": str(self.port),
            "DB_FILENAME": str(self.database),
            "ADMIN_EMAIL": ADMIN["email"],
            "ADMIN_PASSWORD": ADMIN["password"],
            "LOG_LEVEL": "warn",
            **dict(settings),
        }
        self.process = None

    async def start(self):
        log = open(self.directory / "server.log", "ab")
        command = [self.binary, "serve", "--demo"]
        self.process = subprocess.Popen(command, cwd=self.directory, env=self.settings, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            try:
                status, _ = await Client(self.port).ask("GET", "/server/ping")
                if status == 200:
                    return
            except OSError:
                await asyncio.sleep(0.02)
        raise RuntimeError(f"the server does not start: {self.log()}")

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def log(self):
        return (self.directory / "server.log").read_text(errors="replace")[-2000:]

    def command(self, *arguments):
        """Runs another command of the binary on the stopped server's database."""
        outcome = subprocess.run([self.binary, *arguments], cwd=self.directory, env=self.settings, capture_output=True, text=True)
        if outcome.returncode:
            raise RuntimeError(f"chinwag {' '.join(arguments)}: {outcome.stderr}")
        return outcome.stdout

    def edit(self, change):
        """Calls `change` with a connection to the stopped server's database, and commits."""
        connection = sqlite3.connect(self.database)
        try:
            change(connection)
            connection.commit()
            connection.execute("pragma wal_checkpoint(truncate)")
        finally:
            connection.close()

    def resident(self, field="VmRSS"):
        """Returns the resident memory of the process, in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith(f"{field}:"))

    def highest(self):
        """Returns the peak memory of the process, in bytes."""
        return self.resident("VmHWM")

    def journal(self):
        """Returns the size of the write-ahead log, in bytes."""
        try:
            return os.stat(f"{self.database}-wal").st_size
        except FileNotFoundError:
            return 0


class Sampler(threading.Thread):
    """Records the peak memory and the maximum size of the write-ahead log of a server, in a separate thread."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.service, self.ended = service, threading.Event()
        self.resident, self.journal = 0, 0
        self.start()

    def run(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            try:
                self.resident = max(self.resident, self.service.resident())
            except (OSError, StopIteration, AttributeError):
                return
            self.journal = max(self.journal, self.service.journal())

    def finish(self):
        self.ended.set()
        self.join()
        return self
