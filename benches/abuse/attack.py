"""An attack: its name, the state it needs, the load it makes, and the bounds that have to hold meanwhile."""
import dataclasses
import sqlite3
from typing import Callable, Optional

# The attackers' address: the bystanders have another one.
SOURCE = "127.0.0.2"


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The bounds of an attack. Those of time are judged in full runs only: they depend on the machine."""

    # How far the memory of the process may rise above that before the attack, in MiB, and where it must be again
    # `settle_seconds` after its end.
    memory_mib: Optional[float] = None
    settle_seconds: float = 60
    # The p99 of other clients' creates, in milliseconds.
    creates_p99_ms: Optional[float] = None
    # The part of its rate that delivery to other clients keeps.
    deliveries: Optional[float] = None
    # How long the write-ahead log may get, in MiB.
    journal_mib: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attack. `run` makes the load and returns counters when it is told to stop; `prepare` fills the database of the
    stopped server; `check` looks at the server afterwards and returns a complaint, or nothing."""

    name: str
    title: str
    run: Callable
    bounds: Bounds
    prepare: Optional[Callable] = None
    check: Optional[Callable] = None
    # Messages in the database before, in full and in short runs.
    messages: tuple = (0, 0)
    settings: tuple = ()
    # Whether the attack goes on until its work is done, rather than until it is told to stop.
    ends: bool = False
    # Whether the load tool measures the rate of deliveries.
    fan_out: bool = False
    # Whether a short run has it, too.
    in_short: bool = False


ATTACKS = {}


def attack(name, title, bounds, **options):
    """Registers the function below as the load of an attack."""

    def register(run):
        ATTACKS[name] = Attack(name=name, title=title, run=run, bounds=bounds, **options)
        return run

    return register


class Arena:
    """Where an attack takes place: the server's port, the tokens it may use, and how large it is to be."""

    def __init__(self, port, database, admin, attacker, short):
        self.port, self.database, self.admin, self.attacker, self.short = port, database, admin, attacker, short
        self.counters = {}

    def size(self, full, short):
        return short if self.short else full

    def count(self, name, number=1):
        self.counters[name] = self.counters.get(name, 0) + number

    def peak(self, name, value):
        self.counters[name] = round(max(self.counters.get(name, 0), value), 1)

    def rows(self, table, condition):
        """Counts rows in the file of the running server, up to 1,000."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(f"select count(*) from (select 1 from {table} where {condition} limit 1000)").fetchone()[0]
        finally:
            connection.close()
