-- Final counts to a topic, keyed so that it can be compacted. After a restart a row may come again with the same value.
CREATE TABLE counts (
  channel STRING,
  window_start TIMESTAMP_LTZ(3),
  emote STRING,
  `count` BIGINT,
  late BIGINT,
  PRIMARY KEY (channel, window_start, emote) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = '${COUNTS_TOPIC}',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP_SERVERS}',
  'key.format' = 'json',
  'key.json.timestamp-format.standard' = 'ISO-8601',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601'
);

INSERT INTO counts SELECT channel, window_start, emote, `count`, late FROM window_counts;
