"""Stands where Gyre starts a model server, and passes each connection on to the test's own.

    relay.py --port=8001

listens on 127.0.0.1 and connects to the port that RELAY_TO holds. That is a variable and no
argument, since arguments decide a run's identity.
"""

import os
import socket
import sys
import threading


def main() -> None:
    port = int(sys.argv[1].removeprefix("--port="))
    target = int(os.environ["RELAY_TO"])
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", target))
        except OSError:
            client.close()
            continue
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=pass_on, args=(source, sink), daemon=True).start()


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Passes bytes on until one end is closed, and then closes both."""
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
    except OSError:
        pass  # one end broke the connection, which the other is to see
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed already


if __name__ == "__main__":
    main()
