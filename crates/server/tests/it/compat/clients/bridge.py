"""A client of system A in Python: prints each message of the bridge as it came, until it has seen as many as asked for.

usage: python3 bridge.py URL MESSAGES
"""

import sys

import websocket

url, messages = sys.argv[1], int(sys.argv[2])
socket = websocket.create_connection(url, timeout=60)
print("open", flush=True)
for _ in range(messages):
    print(socket.recv(), flush=True)
socket.close()
