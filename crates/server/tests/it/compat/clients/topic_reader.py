"""A consumer in Python, as system D's subscribers have them: prints each value of topics from their beginning on, one a line,
until it is killed.

usage: python3 topic_reader.py BROKERS GROUP TOPIC...
"""

import json
import sys

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    *sys.argv[3:],
    bootstrap_servers=sys.argv[1],
    group_id=sys.argv[2],
    auto_offset_reset="earliest",
    value_deserializer=lambda value: json.loads(value.decode("utf-8")),
)
for message in consumer:
    print(message.topic, json.dumps(message.value), flush=True)
