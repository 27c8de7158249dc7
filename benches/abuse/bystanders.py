"""Well-behaved clients: creates and reads at a steady rate, and subscribers. Their latencies show an attack's effect."""
import asyncio
import itertools
import json
import os
import time

from wire import Client, Socket, percentiles, sign_in

EVERY_SECONDS = 0.04
FOLLOWERS = 20
# Time limit of a request. Slower requests count with this time.
PATIENCE_SECONDS = 30


class Bystanders:
    """One account that creates, reads and subscribes, from a separate address."""

    def __init__(self, service, token):
        self.service, self.token = service, token
        self.ended = False
        self.reset()

    def reset(self):
        self.creates, self.reads, self.deliveries = [], [], []
        self.refused, self.closed = 0, 0

    async def __aenter__(self):
        self.followers = []
        for _ in range(FOLLOWERS):
            socket = await Socket.open(self.service.port)
            await sign_in(socket, self.token)
            await socket.send({"type": "subscribe", "collection": "messages", "uid": "1", "query": {"fields": ["content"], "limit": 1}})
            while (await socket.receive_json()).get("event") != "init":
                pass
            self.followers.append(socket)
        self.tasks = [asyncio.create_task(self._follow(socket)) for socket in self.followers]
        self.tasks += [asyncio.create_task(self._repeat(self._create)), asyncio.create_task(self._repeat(self._read))]
        return self

    async def __aexit__(self, *_):
        # A request that completes at the same moment can swallow the cancellation, hence the flag.
        self.ended = True
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for socket in self.followers:
            socket.close()

    async def watch(self, seconds):
        """Returns the latencies of the next `seconds`, extended until there is a sample of each kind."""
        self.reset()
        until = time.monotonic() + PATIENCE_SECONDS
        await asyncio.sleep(seconds)
        while not (self.creates and self.reads and self.deliveries) and time.monotonic() < until:
            await asyncio.sleep(EVERY_SECONDS)
        return self.figures()

    def figures(self):
        """Returns the latencies since the last reset."""
        return {
            "creates_ms": percentiles(self.creates),
            "reads_ms": percentiles(self.reads),
            "deliveries_ms": percentiles(self.deliveries),
            "refused": self.refused,
            "closed": self.closed,
        }

    async def _repeat(self, one):
        client = Client(self.service.port, self.token)
        for number in itertools.count():
            if self.ended:
                return
            begun = time.monotonic()
            await one(client, number)
            await asyncio.sleep(max(0, EVERY_SECONDS - (time.monotonic() - begun)))

    async def _timed(self, times, asking):
        begun = time.monotonic()
        try:
            status, _ = await asyncio.wait_for(asking, PATIENCE_SECONDS)
            self.refused += status >= 400
        except (OSError, EOFError, asyncio.TimeoutError):
            self.refused += 1
        times.append(time.monotonic() - begun)

    async def _create(self, client, _):
        text = f"bystander {time.monotonic()}"
        await self._timed(self.creates, client.ask("POST", "/items/messages?fields=id", {"content": text}))

    async def _read(self, client, number):
        newest = "/items/messages?sort=-id&limit=20&fields=id,content,user_created.first_name"
        older = "/items/messages?sort=id&limit=20&offset=300&fields=id,content"
        await self._timed(self.reads, client.ask("GET", older if number % 2 else newest))

    async def _follow(self, socket):
        try:
            while True:
                message = await socket.receive_json()
                for item in message.get("data") or []:
                    content = isinstance(item, dict) and item.get("content")
                    if content and content.startswith("bystander "):
                        self.deliveries.append(time.monotonic() - float(content.split()[1]))
        except (OSError, EOFError):
            self.closed += 1


async def fan_out(load, service, token, subscribers, seconds):
    """Runs the load tool and returns the delivery rate to subscribers, with one message in flight."""
    settings = {**os.environ, "TOKEN": token}
    arguments = ["fanout", "--subs", str(subscribers), "--window", "1", "--warmup", "1", "--seconds", str(seconds)]
    arguments += ["--url", f"http://127.0.0.1:{service.port}"]
    running = await asyncio.create_subprocess_exec(
        load, *arguments, env=settings, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await running.communicate()
    if running.returncode:
        return {"deliveries_per_s": 0, "lost": None, "errors": None, "why": error.decode().strip()[-300:]}
    report = json.loads(out)
    return {
        "deliveries_per_s": report["deliveries_per_s"],
        "p99_ms": report["latency_ms"]["p99"],
        **{field: report[field] for field in ("lost", "doubled", "disordered", "errors", "last_error")},
    }
