"""System A's settings page in Python: logs in, checks the token as A's own server would, changes every setting, and prints
what it was answered, as JSON lines.

usage: python3 settings.py BASE_URL USERNAME PASSWORD TOKEN_SECRET
"""

import base64
import hashlib
import hmac
import json
import sys

import requests

base, username, password, secret = sys.argv[1:]


def show(answer):
    answer.raise_for_status()
    print(json.dumps(answer.json()))


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


answer = requests.post(base + "/login", json={"username": username, "password": password}, timeout=60)
answer.raise_for_status()
token = answer.json()["token"]
head, claims, signature = token.split(".")
expected = hmac.new(secret.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
assert hmac.compare_digest(decoded(signature), expected), "HS256 with TOKEN_SECRET"
assert json.loads(decoded(head))["alg"] == "HS256"
print(json.dumps(json.loads(decoded(claims))))

session = requests.Session()
session.headers["Authorization"] = f"Bearer {token}"
for path, body in (
    ("/settings/threshold", {"threshold": 0.7}),
    ("/settings/interval", {"interval": 50}),
    ("/settings/allowed-emotes", [{"emote": "💾", "isAllowed": False}, {"emote": "💻", "isAllowed": True}]),
):
    show(session.get(base + path, timeout=60))
    show(session.put(base + path, json=body, timeout=60))
    show(session.get(base + path, timeout=60))
