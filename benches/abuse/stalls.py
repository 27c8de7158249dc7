"""Attacks on the single writer: operations on many rows, and a write-ahead log that cannot be truncated."""
import asyncio
import json
import time
import uuid

from attack import SOURCE, Bounds, attack
from wire import Client

SWIFT = Bounds(memory_mib=128, creates_p99_ms=100)
FAR = 1 << 42


def user_of(connection, email):
    return connection.execute("select id from directus_users where lower(email) = ?", (email,)).fetchone()[0]


def expired_sessions(service, short):
    def change(connection):
        user = user_of(connection, "bob@example.com")
        rows = ((str(uuid.uuid4()), user, "json", "seed", 1, 1, 1, 2) for _ in range(20_000 if short else 1_000_000))
        connection.executemany(
            "insert into directus_sessions (id, user, mode, seed, generation, date_created, date_rotated, expires)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    service.edit(change)


@attack("sessions-expired", "Sessions that have all expired by the start: 1,000,000", SWIFT, prepare=expired_sessions, ends=True, in_short=True)
async def sessions_expired(arena):
    client = Client(arena.port, arena.admin)
    begun = time.monotonic()
    # The first sweep after the start deletes the sessions.
    while time.monotonic() - begun < 600:
        status, answer = await client.ask("GET", "/server/ping")
        left = arena.rows("directus_sessions", "expires < 1000")
        if not left:
            arena.count("seconds", round(time.monotonic() - begun, 1))
            return
        await asyncio.sleep(0.5)
    arena.count("left", left)


def messages_of_one(service, short):
    def change(connection):
        connection.execute("update messages set user_created = ?", (user_of(connection, "bob@example.com"),))

    service.edit(change)


@attack("account-deletion", "DELETE /users of an account with 1,000,000 messages", SWIFT, messages=(1_000_000, 20_000), prepare=messages_of_one, ends=True, in_short=True)
async def account_deletion(arena):
    await delete(arena, "/users", "bob@example.com")


async def delete(arena, path, email):
    client = Client(arena.port, arena.admin)
    _, answer = await client.ask("GET", f"/users?fields=id&filter[email][_eq]={email}")
    begun = time.monotonic()
    status, answer = await asyncio.wait_for(client.ask("DELETE", f"{path}/{answer['data'][0]['id']}"), 900)
    arena.count(str(status))
    arena.count("seconds", round(time.monotonic() - begun, 1))


ROLE = "7e0f0000-0000-4000-8000-000000000001"
POLICY = "7e0f0000-0000-4000-8000-000000000002"


def accounts_of_one_role(service, short):
    def change(connection):
        connection.execute("insert into directus_roles (id, name) values (?, 'Crowd')", (ROLE,))
        accounts = ((str(uuid.uuid4()), f"crowd-{number}@example.com", ROLE) for number in range(20_000 if short else 1_000_000))
        connection.executemany("insert into directus_users (id, email, role) values (?, ?, ?)", accounts)

    service.edit(change)


@attack("role-deletion", "DELETE /roles of a role with 1,000,000 accounts", SWIFT, prepare=accounts_of_one_role, ends=True)
async def role_deletion(arena):
    client = Client(arena.port, arena.admin)
    begun = time.monotonic()
    status, _ = await asyncio.wait_for(client.ask("DELETE", f"/roles/{ROLE}"), 900)
    arena.count(str(status))
    arena.count("seconds", round(time.monotonic() - begun, 1))


def access_rows(service, short):
    def change(connection):
        connection.execute("insert into directus_policies (id, name) values (?, 'Crowd')", (POLICY,))
        for number in range(5_000 if short else 100_000):
            user = str(uuid.uuid4())
            connection.execute("insert into directus_users (id, email) values (?, ?)", (user, f"crowd-{number}@example.com"))
            row = (str(uuid.uuid4()), user, POLICY)
            connection.execute('insert into directus_access (id, "user", policy) values (?, ?, ?)', row)

    service.edit(change)


@attack("access-rows", "Changes of permissions with 100,000 rows of access", SWIFT, prepare=access_rows)
async def change_permissions(arena):
    client = Client(arena.port, arena.admin)
    while True:
        body = {"name": f"Crowd {time.monotonic()}"}
        begun = time.monotonic()
        status, _ = await client.ask("PATCH", f"/policies/{POLICY}", body)
        arena.count(str(status))
        arena.peak("change_ms", 1000 * (time.monotonic() - begun))
        await asyncio.sleep(0.05)


@attack("query-update", "Updates of 1,000 messages by query, over and over", SWIFT, messages=(20_000, 5_000))
async def query_update(arena):
    client = Client(arena.port, arena.admin)
    body = {"query": {"filter": {"id": {"_gt": 0}}, "limit": 1_000}, "data": {"content": "changed"}}
    while True:
        status, answer = await client.ask("PATCH", "/items/messages?fields=id", body)
        arena.count(str(status))
        await asyncio.sleep(0.02)


GROUPS = "/items/messages?aggregate[countDistinct]=content&groupBy[]=second(date_created)"


@attack("overlapping-scans", "Four clients with costly reads without a pause, while messages are created", Bounds(memory_mib=128, journal_mib=64), messages=(1_500_000, 50_000), in_short=True)
async def overlapping_scans(arena):
    async def scan(_):
        client = Client(arena.port, source=SOURCE)
        while True:
            status, _ = await client.ask("GET", GROUPS)
            arena.count(str(status))
            await asyncio.sleep(0.01)

    async def write(_):
        client = Client(arena.port, arena.attacker, source=SOURCE)
        body = [{"content": "x" * 200}] * 20
        while True:
            status, _ = await client.ask("POST", "/items/messages?fields=id", body)
            arena.count(f"creates {status}")
            await asyncio.sleep(0.002)

    await asyncio.gather(*(scan(number) for number in range(4)), *(write(number) for number in range(arena.size(8, 2))))
