"""The client that makes the load, a process of its own; it does a step at a time, as `measure` tells it to.

It opens all connections and says so; it begins when it reads a line, says when it is done, and after another
line says as JSON what came of it. In an echo each connection sends a frame, waits for the whole answer, and
sends the next one. In a broadcast the first connection sends a frame, and the next one once all have it.

What is sent is prepared, and what comes is compared with what has to come, as one piece: so an echo costs the
client 4.7 µs, nearly all of them in the kernel. A client written in C took 4.4 µs.
"""

from __future__ import annotations

import argparse
import array
import gc
import json
import select
import sys
import time
from collections.abc import Callable
from typing import Final

from . import frames
from .connection import Connection
from .scenarios import SCENARIOS, Scenario

#: Bytes that are read at once; all messages are shorter.
SIZE: Final = 65536


class Load:
    """All connections of a scenario, and what came of them."""

    def __init__(self, port: int, scenario: Scenario, connections: int) -> None:
        opened = [Connection(port, scenario.path, scenario.compressed).socket for _ in range(connections)]
        self._poll = select.epoll()
        self._read: dict[int, Callable[[int], bytes]] = {}
        self._write: dict[int, Callable[[bytes], int]] = {}
        for socket in opened:
            socket.setblocking(False)
            self._read[socket.fileno()] = socket.recv
            self._write[socket.fileno()] = socket.send
            self._poll.register(socket, select.EPOLLIN)
        self._sockets = opened
        self._held: dict[int, bytes] = {}  # parts of frames
        self._frame = scenario.sent
        self._answer = scenario.answer
        self._compressed = scenario.compressed
        self.messages = 0
        self.latencies = array.array("d")
        self.wrong = 0
        self.closed = 0

    def echo(self, seconds: float) -> None:
        """Let each connection send when it has its answer."""
        now, poll, read, write = time.perf_counter, self._poll.poll, self._read, self._write
        answer, frame, latency = self._answer, self._frame, self.latencies.append
        end = now() + seconds
        sent = {}
        for number in read:
            sent[number] = now()
            write[number](frame)
        while now() < end and read:
            for number, _ in poll(0.1, SIZE):
                data = read[number](SIZE)
                if data == answer or self._messages(number, data):
                    self.messages += 1
                    moment = now()
                    latency(moment - sent[number])
                    sent[number] = moment
                    write[number](frame)

    def broadcast(self, seconds: float) -> None:
        """Let the first connection send when all have what it has sent before."""
        now, poll, read, answer = time.perf_counter, self._poll.poll, self._read, self._answer
        publish = self._sockets[0].send
        end = now() + seconds
        sent = now()
        publish(self._frame)
        waiting = set(read)
        while now() < end and read:
            for number, _ in poll(0.1, SIZE):
                data = read[number](SIZE)
                if data == answer or self._messages(number, data):
                    self.messages += 1
                    if number not in waiting:
                        self.wrong += 1  # the same twice
                    waiting.discard(number)
            if not waiting:
                moment = now()
                self.latencies.append(moment - sent)
                sent = moment
                waiting = set(read)
                publish(self._frame)

    def _messages(self, number: int, data: bytes) -> bool:
        """Take what is not one expected frame; return whether it completes a message."""
        if not data:
            self.closed += 1
            self._poll.unregister(number)
            del self._read[number]
            return False
        data = self._held.pop(number, b"") + data
        complete, start = 0, 0
        while (frame := frames.read(data, start)) is not None:
            complete += self._message(number, frame, data[start : frame.end])
            start = frame.end
        if start < len(data):
            self._held[number] = data[start:]
        self.wrong += max(complete - 1, 0)
        return complete > 0

    def _message(self, number: int, frame: frames.Frame, data: bytes) -> bool:
        opcode = frame.first & 0xF
        if opcode == frames.PING:
            self._write[number](frames.sent(frame.payload, frames.PONG))
        elif opcode == frames.CLOSE:
            self.closed += 1
        elif opcode != frames.PONG:
            compressed = frame.first & 0xF0 == frames.FIN | frames.COMPRESSED
            self.wrong += data != self._answer and not (compressed and self._compressed)
            return True
        return False


def main() -> None:
    """Open, wait for the signal, make the load, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.websockets.load")
    parser.add_argument("scenario", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    asked = parser.parse_args()
    scenario = next(each for each in SCENARIOS if each.name == asked.scenario)
    load = Load(asked.port, scenario, asked.connections)
    gc.disable()
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.monotonic(), time.process_time()
    (load.broadcast if scenario.broadcast else load.echo)(asked.seconds)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    print("done", flush=True)
    sys.stdin.readline()  # the connections stay until the server's CPU time has been read
    print(json.dumps(told(load, seconds, cpu)), flush=True)


def told(load: Load, seconds: float, cpu: float) -> dict[str, float]:
    """What came of it: seconds, messages, and latencies in milliseconds."""
    ordered = sorted(load.latencies) or [0.0]
    return {
        "messages": load.messages,
        "seconds": seconds,
        "cpu": cpu,
        "p50": ordered[len(ordered) // 2] * 1e3,
        "p99": ordered[len(ordered) * 99 // 100] * 1e3,
        "wrong": load.wrong,
        "closed": load.closed,
    }


if __name__ == "__main__":
    main()
