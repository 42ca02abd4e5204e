"""A producer of systems D and E in Python: sends emojis to a topic on Kafka, flushed every so often, and prints how many of
each it sent, as JSON. Retries as a program does that must not lose any.

usage: python3 emoji_producer.py BROKERS TOPIC EMOJIS [SECONDS]    SECONDS: about how long it takes
"""

import datetime
import json
import random
import sys
import time
import uuid

from kafka import KafkaProducer

brokers, topic, emojis = sys.argv[1], sys.argv[2], int(sys.argv[3])
seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
producer = KafkaProducer(
    bootstrap_servers=brokers,
    value_serializer=lambda value: json.dumps(value).encode("utf-8"),
    acks="all",
)
sent = {}
began = time.monotonic()
for number in range(emojis):
    emoji = random.choice(["😀", "😢", "🔥"])
    body = {
        "user_id": str(uuid.uuid4()),
        "emoji_type": emoji,
        "timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat(),
    }
    producer.send(topic, value=body)
    sent[emoji] = sent.get(emoji, 0) + 1
    if number % 500 == 499:
        producer.flush()
        time.sleep(max(0.0, began + seconds * number / emojis - time.monotonic()))
producer.flush()
print(json.dumps(sent))
