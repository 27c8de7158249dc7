"""A small asyncio client for HTTP/1.1 and RFC 6455. Attacks use its parts to leave exchanges unfinished or unread."""
import asyncio
import base64
import json
import os
import struct

HOST = "127.0.0.1"
READ_BYTES = 1 << 16


# An unreferenced writer closes its connection, so the attackers' writers are kept.
OPENED = set()


async def connect(port, source=None):
    """Opens a TCP connection, from another loopback address if given."""
    local = (source, 0) if source else None
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=local, limit=1 << 20)
    if source:
        OPENED.add(writer)
    return reader, writer


def request_bytes(method, path, body=None, token=None, headers=()):
    """Returns a request. A body other than bytes or None is sent as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: abuse"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    lines += headers
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


async def read_response(reader):
    """Reads one response and returns its status, its headers with lower-case names, and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split()[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = bytearray()
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return status, headers, bytes(body)
    return status, headers, await reader.readexactly(int(headers.get("content-length", 0)))


class Client:
    """A keep-alive connection that reconnects after the server has closed it."""

    def __init__(self, port, token=None, source=None):
        self.port, self.token, self.source = port, token, source
        self.streams = None

    async def ask(self, method, path, body=None, token=None, headers=()):
        """Sends a request and returns status and body; JSON is parsed."""
        message = request_bytes(method, path, body, token or self.token, headers)
        for attempt in (1, 2):
            fresh = self.streams is None
            if fresh:
                self.streams = await connect(self.port, self.source)
            reader, writer = self.streams
            try:
                writer.write(message)
                await writer.drain()
                status, answered, data = await read_response(reader)
                break
            except (OSError, EOFError):
                self.close()
                if fresh or attempt == 2:
                    raise
        if answered.get("connection") == "close":
            self.close()
        if answered.get("content-type", "").startswith("application/json") and data:
            data = json.loads(data)
        return status, data

    async def sign_in(self, email, password):
        status, answer = await self.ask("POST", "/auth/login", {"email": email, "password": password})
        if status != 200:
            raise RuntimeError(f"{email} cannot sign in: {status} {answer}")
        self.token = answer["data"]["access_token"]
        return self.token

    def close(self):
        if self.streams:
            self.streams[1].close()
            self.streams = None


def frame(payload, opcode=1, last=True, announced=None):
    """Returns a masked client frame. `announced` overrides the length in its header."""
    length = len(payload) if announced is None else announced
    head = bytes([(0x80 if last else 0) | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 1 << 16:
        head += b"\xfe" + struct.pack(">H", length)
    else:
        head += b"\xff" + struct.pack(">Q", length)
    # A mask of zeros leaves the payload unchanged.
    return head + b"\0\0\0\0" + payload


class Socket:
    """One WebSocket."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.close_code = None

    @classmethod
    async def open(cls, port, path="/websocket", token=None, source=None):
        reader, writer = await connect(port, source)
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = ["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13", f"sec-websocket-key: {key}"]
        writer.write(request_bytes("GET", path, token=token, headers=upgrade))
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            writer.close()
            raise ConnectionRefusedError(head.split(b"\r\n")[0].decode())
        return cls(reader, writer)

    async def send(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        self.writer.write(frame(text.encode()))
        await self.writer.drain()

    async def receive(self):
        """Returns the next text message, and answers pings. Raises EOFError when the server has closed."""
        while True:
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack(">H", await self.reader.readexactly(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", await self.reader.readexactly(8))[0]
            payload = await self.reader.readexactly(length)
            if first & 0x0F == 8:
                self.close_code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                raise EOFError(f"closed with {self.close_code}")
            if first & 0x0F == 9:
                self.writer.write(frame(payload, 10))
            elif first & 0x0F == 1:
                return payload.decode()

    async def receive_json(self):
        """Returns the next message as JSON, and answers the pings of the protocol."""
        while True:
            message = json.loads(await self.receive())
            if message.get("type") != "ping":
                return message
            await self.send({"type": "pong"})

    async def drain(self):
        """Reads and discards messages until the server closes; returns the close code."""
        try:
            while True:
                await self.receive_json()
        except (OSError, EOFError):
            return self.close_code

    def close(self):
        self.writer.close()


async def sign_in(socket, token):
    await socket.send({"type": "auth", "access_token": token})
    while (await socket.receive_json()).get("type") != "auth":
        pass


def percentiles(seconds):
    """Returns p50, p99 and maximum in milliseconds, or None without samples."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    at = lambda part: round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1)
    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": at(1)}
