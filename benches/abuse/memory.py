"""Attacks on memory: responses that are not read, messages and bodies that do not end, and expensive documents."""
import asyncio
import struct

from attack import SOURCE, Bounds, attack
from wire import OPENED, Client, Socket, connect, frame, read_response, request_bytes

HELD = Bounds(memory_mib=64)
MEGABYTE = 1_000_000
# A list that is requested and never read: just under 64 KiB.
UNREAD_LIST = "/items/messages?limit=250&sort=id"


async def hold(arena, opening, count, at_once=64):
    """Opens connections and keeps them, counts those closed by the server, and waits to be stopped."""
    gate = asyncio.Semaphore(at_once)

    async def one(number):
        async with gate:
            try:
                end = await opening(number)
            except (OSError, EOFError):
                arena.count("refused")
                return
            arena.count("open")
        try:
            await end
        except (OSError, EOFError):
            pass
        arena.count("closed")

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.gather(*tasks)
    await asyncio.Event().wait()


async def drip(writer, data, reader, every=5):
    """Sends one byte every few seconds; ends when the server closes."""
    for byte in data:
        await asyncio.sleep(every)
        if reader.at_eof():
            raise EOFError
        writer.write(bytes([byte]))
        await writer.drain()


@attack("h2-unread", "HTTP/2: 200 streams with a window of 0 on each of 60 connections", HELD, messages=(500, 500), in_short=True)
async def h2_unread(arena):
    def block(path):
        # Literals without indexing: :method GET is entry 2 of the static table, :scheme http 6, :path 4, :authority 1.
        return b"\x82\x86" + b"\x04" + bytes([len(path)]) + path + b"\x01\x05abuse"

    def h2_frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    async def opening(_):
        reader, writer = await connect(arena.port, SOURCE)
        streams = (h2_frame(1, 5, stream, block(UNREAD_LIST.encode())) for stream in range(1, 401, 2))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, struct.pack(">HI", 4, 0)) + b"".join(streams))
        await writer.drain()
        first = await reader.read(9)
        if first[3:4] != b"\x04":
            arena.count("no HTTP/2")
            raise EOFError

        async def held():
            while await reader.read(1 << 16):
                pass

        return held()

    await hold(arena, opening, arena.size(60, 20))


@attack("http-unread", "HTTP/1.1: 1,000 connections with 20 pipelined lists each, none read", HELD, messages=(500, 500), in_short=True)
async def http_unread(arena):
    async def opening(_):
        reader, writer = await connect(arena.port, SOURCE)
        writer.write(request_bytes("GET", UNREAD_LIST) * 20)
        await writer.drain()
        # Responses stay in the system's buffers: nothing is read from them.
        writer.transport.pause_reading()

        async def held():
            while True:
                await asyncio.sleep(1)
                writer.write(b"\r\n")
                await writer.drain()

        return held()

    await hold(arena, opening, arena.size(1000, 200))


@attack("ws-unfinished", "Sockets with a message of 1 MB of which a byte comes each five seconds", HELD, in_short=True)
async def ws_unfinished(arena):
    async def opening(_):
        socket = await Socket.open(arena.port, source=SOURCE)
        socket.writer.write(frame(b"x" * 999_900, announced=MEGABYTE))
        await socket.writer.drain()
        arena.count("sent")
        return drip(socket.writer, b"x" * 50, socket.reader)

    await hold(arena, opening, arena.size(1000, 200))


@attack("ws-fragments", "Sockets with messages in fragments that never end", HELD)
async def ws_fragments(arena):
    async def opening(_):
        socket = await Socket.open(arena.port, source=SOURCE)
        socket.writer.write(frame(b"x" * 1000, last=False) + b"".join(frame(b"x" * 1000, 0, last=False) for _ in range(900)))
        await socket.writer.drain()
        return drip(socket.writer, b"\0" * 50, socket.reader)

    await hold(arena, opening, arena.size(1000, 100))


@attack("body-unfinished", "Bodies of 1 MB without their last bytes", HELD, in_short=True)
async def body_unfinished(arena):
    head = request_bytes("POST", "/items/messages", b"x" * MEGABYTE)[: -100]

    async def opening(_):
        reader, writer = await connect(arena.port, SOURCE)
        writer.write(head)
        await writer.drain()
        return drip(writer, b"x" * 50, reader, every=1)

    await hold(arena, opening, arena.size(1000, 200))


@attack("json-large", "Bodies of 1 MB of `[[0],[0],…]`, over and over", HELD, in_short=True)
async def json_large(arena):
    message = request_bytes("POST", "/items/messages", (b"[" + b"[0]," * 249_000 + b"[0]]"))

    async def again(_):
        while True:
            reader, writer = await connect(arena.port, SOURCE)
            try:
                writer.write(message)
                await writer.drain()
                status, _, _ = await asyncio.wait_for(read_response(reader), 30)
                arena.count(str(status))
            except (OSError, EOFError, asyncio.TimeoutError):
                arena.count("failed")
            finally:
                OPENED.discard(writer)
                writer.close()
            await asyncio.sleep(0.01)

    await asyncio.gather(*(again(number) for number in range(arena.size(200, 24))))


@attack("half-heads", "Heads of requests that do not end", HELD)
async def half_heads(arena):
    head = b"GET /items/messages HTTP/1.1\r\nhost: abuse\r\nx-padding: " + b"x" * 20_000

    async def opening(_):
        reader, writer = await connect(arena.port, SOURCE)
        writer.write(head)
        await writer.drain()
        return drip(writer, b"x" * 50, reader, every=1)

    await hold(arena, opening, arena.size(1000, 200))


@attack("sockets-unread", "1,000 subscribers that do not read", HELD, messages=(500, 500))
async def sockets_unread(arena):
    async def opening(_):
        socket = await Socket.open(arena.port, source=SOURCE)
        await socket.send({"type": "subscribe", "collection": "messages", "query": {"limit": 250}})
        socket.writer.transport.pause_reading()
        return asyncio.Event().wait()

    async def write():
        client = Client(arena.port, arena.attacker, source=SOURCE)
        while True:
            status, _ = await client.ask("POST", "/items/messages?fields=id", {"content": "x" * 3000})
            arena.count(str(status))
            await asyncio.sleep(0.01)

    await asyncio.gather(hold(arena, opening, arena.size(1000, 100)), write())
