"""An example of a service that follows consistency events: durable, filtered, and resuming where it stopped.

    python3 deploy/events/subscriber/subscriber.py 127.0.0.1 4222

It needs nothing but Python, for NATS speaks in lines of text. It knows neither TLS nor passwords and ends when the
connection does; a client library does better, and asks the server for the same.
"""

import json
import secrets
import signal
import socket
import sys

STREAM, CONSUMER = "QUESTWATCH_EVENTS", "example-python"
FILTER = "questwatch.events.drift.opened.missing_participant.*"
WAIT = 30  # seconds for which the server keeps the request for an event


class Connection:
    """A connection to a NATS server, over which one thing is asked at a time."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=WAIT + 15)
        self.lines = self.socket.makefile("rb")
        self.inbox = "_INBOX." + secrets.token_hex(8)
        self.asked = 0
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
        self.socket.sendall(f"CONNECT {json.dumps(options)}\r\n".encode())

    def ask(self, subject, body):
        """Returns an answer's data, its status (0 is none), and the subject that acknowledges it."""
        self.asked += 1
        number, inbox = str(self.asked), f"{self.inbox}.{self.asked}"
        # Subscribe to one answer. An event comes under its own subject, so the number tells what answers what.
        self.socket.sendall(
            f"SUB {inbox} {number}\r\nUNSUB {number} 1\r\nPUB {subject} {inbox} {len(body)}\r\n".encode() + body + b"\r\n"
        )
        answers, reply, headers, data = None, None, b"", b""
        while answers != number:
            answers, reply, headers, data = self.message()
        first = headers.split(b"\r\n")[0].split()  # as in "NATS/1.0 408 Request Timeout"
        return data, int(first[1]) if len(first) > 1 else 0, reply

    def message(self):
        while True:
            line = self.lines.readline().decode()
            verb, *words = line.split() or [""]
            if verb == "PING":
                self.socket.sendall(b"PONG\r\n")
            elif verb in ("", "-ERR"):
                raise ConnectionError(line.strip() or "the server has closed the connection")
            elif verb == "MSG":  # subject, subscription, reply if there is one, size
                data = self.lines.read(int(words[-1]) + 2)[:-2]
                return words[1], words[2] if len(words) == 4 else None, b"", data
            elif verb == "HMSG":  # the same, with the size of the headers before that of all
                data = self.lines.read(int(words[-1]) + 2)[:-2]
                split = int(words[-2])
                return words[1], words[2] if len(words) == 5 else None, data[:split], data[split:]


def create(connection):
    """Makes the consumer, or leaves it as it is: the server remembers what was acknowledged."""
    config = {"durable_name": CONSUMER, "name": CONSUMER, "filter_subject": FILTER, "deliver_policy": "all", "ack_policy": "explicit"}
    data, status, _ = connection.ask(
        f"$JS.API.CONSUMER.CREATE.{STREAM}.{CONSUMER}.{FILTER}",
        json.dumps({"stream_name": STREAM, "config": config}).encode(),
    )
    answer = {"error": {"description": "there is no JetStream"}} if status else json.loads(data)
    if "error" in answer:
        raise RuntimeError("make a consumer: " + answer["error"]["description"])


def follow(connection):
    create(connection)
    request = json.dumps({"batch": 1, "expires": WAIT * 10**9}).encode()
    while True:
        data, status, reply = connection.ask(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}", request)
        if status in (404, 408):  # no event came
            continue
        if status:
            raise RuntimeError(f"next event: status {status}")
        # Ctrl-C waits until the server has the acknowledgement: after that the event does not come again.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        event = json.loads(data)["data"]
        print(f"{event['severity']}: quest {event['quest_id']}, {event['cause']}", flush=True)
        connection.ask(reply, b"+ACK")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def main():
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 4222
    try:
        follow(Connection(host, port))
    except KeyboardInterrupt:
        pass
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
