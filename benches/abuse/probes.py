"""Attacks by content: expensive patterns, and texts that erasure must remove."""
import asyncio
import pathlib
import time

from attack import SOURCE, Bounds, attack
from service import ATTACKER
from wire import Client

# These letter sequences do not occur in any other message.
RARE = "ꙮ꙰ꚙ꜀ xq7jzv9k"
TRACES = [part.encode() for part in ("ꙮ꙰ꚙ", "xq7jzv9k", "xq7", "jzv", "zv9")]


@attack("regex", "Eight texts of 60,000 characters against a rule with nested repetition", Bounds(memory_mib=64, creates_p99_ms=100), in_short=True)
async def regex(arena):
    """Creates with a text on which a backtracking matcher takes exponential time. The bystanders' texts match at once."""
    admin = Client(arena.port, arena.admin)
    _, answer = await admin.ask("GET", "/permissions?filter[collection][_eq]=messages&filter[action][_eq]=create&fields=id")
    accepted = 0
    for pattern in ("/^(?:bystander .*|(?=x?)(a+)+)$/", "/^(?:bystander .*|(a+)+)$/", "/^(?:bystander .*|(a|a)*)$/"):
        statuses = [
            (await admin.ask("PATCH", f"/permissions/{item['id']}", {"validation": {"content": {"_regex": pattern}}}))[0]
            for item in answer["data"]
        ]
        arena.count(f"{pattern.replace('|', 'or')} {statuses[0] if statuses else 'no rule'}")
        if statuses and statuses[0] == 200:
            accepted += 1
            if accepted == 1:
                break

    async def one(_):
        client = Client(arena.port, arena.attacker, source=SOURCE)
        while True:
            begun = time.monotonic()
            status, _ = await asyncio.wait_for(client.ask("POST", "/items/messages", {"content": "a" * 60_000 + "!"}), 120)
            arena.count(str(status))
            arena.peak("create_ms", 1000 * (time.monotonic() - begun))
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one(number) for number in range(8)))


def traces(service):
    """Returns the fragments of the erased text that the database files contain."""
    found = set()
    for file in sorted(pathlib.Path(service.directory).glob("chinwag.db*")):
        data = file.read_bytes()
        found |= {f"{trace.decode()!r} in {file.name}" for trace in TRACES if trace in data}
    return found


async def erase(service):
    """Erases the attacker's account. Complains about traces right after it, and after a restart with 300 more messages."""
    service.stop()
    service.command("users", "erase", "--email", ATTACKER["email"])
    found = traces(service)
    await service.start()
    client = Client(service.port)
    for _ in range(300):
        await client.ask("POST", "/items/messages?fields=id", {"content": "other words"})
    service.stop()
    found |= traces(service)
    return f"after the erasure: {', '.join(sorted(found))}" if found else None


@attack("erase-traces", "The erasure of an account, and its rare words in the files", Bounds(), check=erase, ends=True, in_short=True)
async def erase_traces(arena):
    """Writes the rare text as the attacker; the check erases the account."""
    client = Client(arena.port, arena.attacker, source=SOURCE)
    status, _ = await client.ask("POST", "/items/messages", {"content": RARE})
    arena.count(str(status))
    # The search index is updated after the commit.
    admin = Client(arena.port, arena.admin)
    until = time.monotonic() + 30
    while time.monotonic() < until and not arena.rows("chinwag_search_texts_data", "instr(block, cast('xq7' as blob)) > 0"):
        for _ in range(20):
            await admin.ask("POST", "/items/messages?fields=id", {"content": "other words"})
        await asyncio.sleep(0.5)
