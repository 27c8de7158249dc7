"""An attack: its name, the state it requires, the load it generates, and the bounds that must hold meanwhile."""
import dataclasses
import sqlite3
from typing import Callable, Optional

# The attackers' address, different from that of the bystanders.
SOURCE = "127.0.0.2"


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The bounds of an attack. Bounds on time are checked in full runs only: they depend on the machine."""

    # Maximum growth of the process's memory over its size before the attack, in MiB. Memory must be below this again
    # `settle_seconds` after the attack.
    memory_mib: Optional[float] = None
    settle_seconds: float = 60
    # Maximum p99 of other clients' creates, in milliseconds.
    creates_p99_ms: Optional[float] = None
    # Minimum delivery rate to other clients, as a fraction of the rate before the attack.
    deliveries: Optional[float] = None
    # Maximum size of the write-ahead log, in MiB.
    journal_mib: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attack. `run` generates the load and adds to the arena's counters until it is stopped; `prepare` fills the
    database of the stopped server; `check` inspects the server afterwards and returns a complaint, or None."""

    name: str
    title: str
    run: Callable
    bounds: Bounds
    prepare: Optional[Callable] = None
    check: Optional[Callable] = None
    # Number of messages in the database beforehand, in full and in short runs.
    messages: tuple = (0, 0)
    settings: tuple = ()
    # Whether the attack ends when its work is done, rather than when it is stopped.
    ends: bool = False
    # Whether the load tool measures the delivery rate.
    fan_out: bool = False
    # Whether short runs include it.
    in_short: bool = False


ATTACKS = {}


def attack(name, title, bounds, **options):
    """Registers the decorated function as the load of an attack."""

    def register(run):
        ATTACKS[name] = Attack(name=name, title=title, run=run, bounds=bounds, **options)
        return run

    return register


class Arena:
    """The environment of an attack: the server's port, its tokens, and the scale of the run."""

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
        """Counts rows in the running server's database, up to 1,000."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(f"select count(*) from (select 1 from {table} where {condition} limit 1000)").fetchone()[0]
        finally:
            connection.close()
