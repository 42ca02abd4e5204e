"""A client of system E in Python: looks at the service, sends emojis and prints what it was answered, as JSON lines.

usage: python3 emoji_api.py BASE_URL EMOJIS
"""

import datetime
import json
import random
import sys
import uuid

import requests

base, emojis = sys.argv[1], int(sys.argv[2])
for path in ("/", "/health"):
    answer = requests.get(base + path, timeout=60)
    answer.raise_for_status()
    print(json.dumps(answer.json()))
user = str(uuid.uuid4())
for _ in range(emojis):
    body = {
        "user_id": user,
        "emoji_type": random.choice(["😀", "😢", "🔥"]),
        "timestamp": datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None).isoformat(),
    }
    answer = requests.post(base + "/emoji", json=body, timeout=60)
    answer.raise_for_status()
    print(json.dumps(answer.json()))
