"""HTTP/2 by hand, frame by frame, for tests that send what no library sends."""
import socket
import ssl
import struct
import time

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, \
    COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# RFC 7541, appendix B: the digits.
HUFFMAN_DIGITS = {"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5", "011100": "6", "011101": "7",
                  "011110": "8", "011111": "9"}
STATUS_OF_INDEX = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    return struct.pack(">I", len(payload) if length is None else length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(values):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", name, value) for name, value in values.items()))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", increment))


def number(value, bits, first=0):
    """An integer of HPACK with a prefix of some bits."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out = bytearray([first | most])
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def field(name, value, indexed=False):
    """A header field as literals; indexed: the server shall remember it."""
    name, value = name.encode("latin-1"), value.encode("latin-1")
    return bytes([0x40 if indexed else 0]) + number(len(name), 7) + name + number(len(value), 7) + value


def fields(pairs):
    return b"".join(field(name, value) for name, value in pairs)


def request_fields(path, method="GET", more=()):
    return [(":method", method), (":scheme", "https"), (":authority", "127.0.0.1"), (":path", path), *more]


def status_of(block):
    """The status of an answer, which is its first field."""
    while block[0] & 0xe0 == 0x20:  # a new size of the table
        end = 1
        if block[0] & 0x1f == 0x1f:
            while block[end] & 0x80:
                end += 1
            end += 1
        block = block[end:]
    if block[0] & 0x80:
        return STATUS_OF_INDEX[block[0] & 0x7f]
    size = block[1] & 0x7f
    text = block[2:2 + size]
    if not block[1] & 0x80:
        return int(text)
    bits, digits = "".join(f"{byte:08b}" for byte in text), ""
    while len(digits) < 3:
        code = next(code for code in HUFFMAN_DIGITS if bits.startswith(code))
        digits, bits = digits + HUFFMAN_DIGITS[code], bits[len(code):]
    return int(digits)


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    @property
    def error(self):
        """Of RST_STREAM and GOAWAY."""
        return struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]


class Http2:
    """A connection. What is sent is what the caller says; acknowledgements and windows are the caller's affair, too."""

    def __init__(self, address, context, preface=PREFACE, values=None, patience=10):
        self.socket = context.wrap_socket(socket.create_connection(address, timeout=patience), server_hostname="127.0.0.1")
        self.spoken = self.socket.selected_alpn_protocol()
        self.patience = patience
        self.received = b""
        self.ended = False
        self.next_stream = 1
        if preface:
            self.send(preface, settings({HEADER_TABLE_SIZE: 0, ENABLE_PUSH: 0, **(values or {})}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        """Answers whether the server took it; a server may have hung up."""
        try:
            self.socket.settimeout(self.patience)
            self.socket.sendall(b"".join(frames))
            return True
        except OSError:
            return False

    def request(self, path, method="GET", more=(), flags=END_STREAM | END_HEADERS):
        """The frame that begins a stream, and the stream."""
        stream = self.next_stream
        self.next_stream += 2
        return frame(HEADERS, flags, stream, fields(request_fields(path, method, more))), stream

    def read(self, patience=None):
        """The next frame; None when there is none, or no more."""
        until = time.monotonic() + (self.patience if patience is None else patience)
        while not self.ended:
            if len(self.received) >= 9:
                size = int.from_bytes(self.received[:3], "big")
                if len(self.received) >= 9 + size:
                    kind, flags, stream = self.received[3], self.received[4], struct.unpack(">I", self.received[5:9])[0]
                    payload, self.received = self.received[9:9 + size], self.received[9 + size:]
                    return Frame(kind, flags, stream, payload)
            try:
                self.socket.settimeout(max(until - time.monotonic(), 0.001))
                more = self.socket.recv(262144)
            except (TimeoutError, ssl.SSLWantReadError):
                return None
            except OSError:
                more = b""
            self.received += more
            self.ended = not more
        return None

    def until(self, wanted, patience=None):
        """Reads up to the first frame that is wanted, and answers it; None when the connection ended, or nothing more came."""
        while True:
            got = self.read(patience)
            if got is None or wanted(got):
                return got

    def answer(self, stream):
        """Status and body of one answer; the error code, negative, and b"" when the stream was reset; None, b"" when it ended."""
        status, body = None, b""
        while True:
            got = self.until(lambda f: f.stream == stream or f.kind == GOAWAY)
            if got is None or got.kind == GOAWAY:
                return None, body
            if got.kind == RST_STREAM:
                return -got.error, b""
            if got.kind == HEADERS and status is None:
                status = status_of(got.payload)
            if got.kind == DATA:
                body += got.payload
                if got.payload:
                    self.send(window_update(0, len(got.payload)), window_update(stream, len(got.payload)))
            if got.flags & END_STREAM and got.kind in (DATA, HEADERS):
                return status, body

    def get(self, path, **more):
        begin, stream = self.request(path, **more)
        self.send(begin)
        return self.answer(stream)
