"""Attacks on delivery and on reads: one account or address that requests more than its share."""
import asyncio
import json
import time

from attack import SOURCE, Bounds, attack
from wire import Client, Socket, sign_in

FAIR = Bounds(memory_mib=128, deliveries=0.5)
SCAN = "/items/messages?fields=id&limit=20&filter[content][_icontains]="


async def repeat(arena, clients, once, pause=0.0):
    """Calls `once` repeatedly with each of several clients of the attacker's account."""

    async def one(number):
        client = Client(arena.port, arena.attacker, source=SOURCE)
        turn = 0
        while True:
            turn += 1
            try:
                status, _ = await asyncio.wait_for(once(client, number, turn), 60)
                arena.count(str(status))
            except (OSError, EOFError, asyncio.TimeoutError):
                arena.count("failed")
                await asyncio.sleep(0.1)
            await asyncio.sleep(pause)

    await asyncio.gather(*(one(number) for number in range(clients)))


async def sockets(arena, count, path="/websocket", token=None, query=None):
    """Opens sockets from the attackers' address. If a query is given, they subscribe to its messages."""
    gate = asyncio.Semaphore(64)

    async def one():
        async with gate:
            try:
                socket = await Socket.open(arena.port, path, source=SOURCE)
                if token:
                    await sign_in(socket, token)
                if query:
                    await socket.send({"type": "subscribe", "collection": "messages", "uid": "i", "query": query})
                    while (await socket.receive_json()).get("event") != "init":
                        pass
                return socket
            except (OSError, EOFError):
                arena.count("refused upgrades")

    return [socket for socket in await asyncio.gather(*(one() for _ in range(count))) if socket]


@attack("nothing", "A client that only uses a core", Bounds(), fan_out=True)
async def nothing(arena):
    while True:
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            pass
        await asyncio.sleep(0)


@attack("scans", "`_icontains` scans", FAIR, messages=(150_000, 20_000), fan_out=True)
async def scans(arena):
    await repeat(arena, 8, lambda client, number, turn: client.ask("GET", f"{SCAN}nowhere{turn}"))


@attack("search-ids", "SEARCH with 1,900 ids and a scan", FAIR, messages=(150_000, 20_000), fan_out=True)
async def search_ids(arena):
    query = {"filter": {"_or": [{"id": {"_in": list(range(1, 1900))}}, {"content": {"_contains": "nowhere"}}]}, "sort": ["content"], "limit": 5}
    await repeat(arena, 8, lambda client, number, turn: client.ask("SEARCH", "/items/messages", {"query": query}))


@attack("count-distinct", "`countDistinct` by two groups", FAIR, messages=(150_000, 20_000), fan_out=True)
async def count_distinct(arena):
    path = "/items/messages?aggregate[countDistinct]=content&groupBy[]=hour(date_created)&groupBy[]=day(date_created)"
    await repeat(arena, 8, lambda client, number, turn: client.ask("GET", path))


@attack("long-lists", "Lists of 10,000 messages with all fields", FAIR, messages=(150_000, 20_000), fan_out=True)
async def long_lists(arena):
    path = "/items/messages?limit=10000&fields=*,user_created.*"
    await repeat(arena, 8, lambda client, number, turn: client.ask("GET", path))


@attack("list-creates", "Lists of 1,000 creates on four connections of one account", FAIR, messages=(1_000, 1_000), fan_out=True, in_short=True)
async def list_creates(arena):
    body = json.dumps([{"content": "b" * 100}] * 1_000).encode()
    await repeat(arena, 4, lambda client, number, turn: client.ask("POST", "/items/messages?fields=id", body))


@attack("topic-flood", "20 anonymous sockets at /_ws with texts of 3 KB, as fast as they are taken", FAIR, messages=(1_000, 1_000), fan_out=True, in_short=True)
async def topic_flood(arena):
    async def publish(socket):
        text = json.dumps({"type": "publish", "topic": "chat", "payload": {"text": "t" * 3_000}})
        try:
            while True:
                await socket.send(text)
                arena.count("sent")
                await asyncio.sleep(0.05)
        except (OSError, EOFError):
            arena.count("closed")

    opened = await sockets(arena, 20, "/_ws")
    await asyncio.gather(*(socket.drain() for socket in opened), *(publish(socket) for socket in opened))


@attack("socket-creates", "Lists of 100 creates on 20 sockets of one account", FAIR, messages=(1_000, 1_000), fan_out=True)
async def socket_creates(arena):
    message = json.dumps({"type": "items", "action": "create", "collection": "messages", "data": [{"content": "s" * 100}] * 100})

    async def write(socket):
        try:
            while True:
                await socket.send(message)
                arena.count("sent")
                await asyncio.sleep(0.01)
        except (OSError, EOFError):
            arena.count("closed")

    opened = await sockets(arena, 20, token=arena.attacker)
    await asyncio.gather(*(socket.drain() for socket in opened), *(write(socket) for socket in opened))


@attack("subscriptions", "200 sockets of one account with 128 filtered subscriptions each", FAIR, messages=(1_000, 1_000), fan_out=True, in_short=True)
async def subscriptions(arena):
    async def subscribe(socket, number):
        async def answers():
            while True:
                message = await socket.receive_json()
                arena.count("accepted" if message.get("status") != "error" else "refused")

        reading = asyncio.create_task(answers())
        for place in range(128):
            # All filters differ, and none is an equality predicate.
            query = {"filter": {"content": {"_contains": f"{number}-{place}"}}, "limit": 1}
            await socket.send({"type": "subscribe", "collection": "messages", "uid": str(place), "query": query})
        await asyncio.gather(reading, return_exceptions=True)

    opened = await sockets(arena, arena.size(200, 40), token=arena.attacker)
    await asyncio.gather(*(subscribe(socket, number) for number, socket in enumerate(opened)))


@attack("subscribe-storm", "20 sockets that subscribe and unsubscribe without a pause", FAIR, messages=(10_000, 1_000), fan_out=True)
async def subscribe_storm(arena):
    async def storm(socket):
        reading = asyncio.create_task(socket.drain())
        query = {"limit": 20, "fields": ["*", "user_created.first_name"]}
        try:
            while True:
                await socket.send({"type": "subscribe", "collection": "messages", "uid": "s", "query": query})
                await socket.send({"type": "unsubscribe", "uid": "s"})
                arena.count("sent")
                await asyncio.sleep(0)
        except (OSError, EOFError):
            arena.count("closed")
        reading.cancel()

    await asyncio.gather(*(storm(socket) for socket in await sockets(arena, 20, token=arena.attacker)))


@attack("long-names", "Subscriptions with uids of 7 KB", FAIR, fan_out=True)
async def long_names(arena):
    async def subscribe(socket):
        reading = asyncio.create_task(socket.drain())
        try:
            for place in range(1 << 30):
                await socket.send({"type": "subscribe", "collection": "messages", "uid": f"{place:07000}", "query": {"limit": 1}})
                arena.count("sent")
                await asyncio.sleep(0.01)
        except (OSError, EOFError):
            arena.count("closed")
        reading.cancel()

    await asyncio.gather(*(subscribe(socket) for socket in await sockets(arena, 20, token=arena.attacker)))


@attack("since-loop", "Sockets that have everything replayed, over and over", FAIR, messages=(1_000, 1_000), fan_out=True)
async def since_loop(arena):
    client = Client(arena.port, arena.attacker, source=SOURCE)
    await client.ask("POST", "/items/messages?fields=id", {"content": "first"})

    async def replay(socket):
        await socket.send({"type": "subscribe", "collection": "messages", "uid": "r", "query": {"limit": 1}})
        cursor = (await socket.receive_json()).get("cursor")
        reading = asyncio.create_task(socket.drain())
        try:
            while True:
                await socket.send({"type": "subscribe", "collection": "messages", "uid": "r", "since": cursor})
                arena.count("sent")
                await asyncio.sleep(0.05)
        except (OSError, EOFError):
            arena.count("closed")
        reading.cancel()

    opened = await sockets(arena, 20, token=arena.attacker)
    await asyncio.gather(*(replay(socket) for socket in opened))


@attack("sign-ins", "Sign-ins with made-up addresses", FAIR, fan_out=True)
async def sign_ins(arena):
    def once(client, number, turn):
        return client.ask("POST", "/auth/login", {"email": f"x{number}-{turn}@example.com", "password": "made up here"})

    await repeat(arena, 8, once)


@attack("typing", "20 sockets whose users type without a pause", FAIR, fan_out=True)
async def typing(arena):
    async def write(socket):
        reading = asyncio.create_task(socket.drain())
        try:
            while True:
                await socket.send({"type": "publish", "topic": "typing", "payload": {}})
                arena.count("sent")
                await asyncio.sleep(0)
        except (OSError, EOFError):
            arena.count("closed")
        reading.cancel()

    await asyncio.gather(*(write(socket) for socket in await sockets(arena, 20, "/_ws")))


@attack("idle-and-rights", "8,000 idle sockets while permissions change", FAIR, fan_out=False)
async def idle_and_rights(arena):
    # They stay idle: the bystanders' messages do not match their filter, but the server has to check that after each change.
    query = {"filter": {"content": {"_eq": "for the idle"}}, "limit": 1}
    opened = await sockets(arena, arena.size(8_000, 500), query=query)
    reading = [asyncio.create_task(socket.drain()) for socket in opened]
    client = Client(arena.port, arena.admin)
    _, answer = await client.ask("GET", "/policies?limit=1&fields=id,name")
    policy = answer["data"][0]
    try:
        while True:
            begun = time.monotonic()
            status, _ = await client.ask("PATCH", f"/policies/{policy['id']}", {"description": str(begun)})
            arena.count(str(status))
            arena.peak("change_ms", 1000 * (time.monotonic() - begun))
            await asyncio.sleep(0.2)
    finally:
        for task in reading:
            task.cancel()
