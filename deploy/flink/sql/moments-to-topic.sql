-- Moments by the plain threshold on counts, as system A's readers know them: identical emotes of one window that exceed it.
CREATE TABLE moments (
  emote STRING,
  `count` BIGINT,
  `timestamp` TIMESTAMP_LTZ(3),
  channel STRING
) WITH (
  'connector' = 'kafka',
  'topic' = '${MOMENTS_TOPIC}',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP_SERVERS}',
  'key.format' = 'raw',
  'key.fields' = 'channel',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601'
);

-- Reactions that were late by a spool are counted and make no moment. For an allowed list add AND emote IN (…).
INSERT INTO moments
SELECT emote, `count` - late, window_start, channel
FROM window_counts
WHERE `count` - late > ${MOMENT_THRESHOLD};
