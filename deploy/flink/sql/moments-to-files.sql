-- The same moments as lines of JSON in a folder, for bounded runs.
CREATE TABLE moments (
  emote STRING,
  `count` BIGINT,
  `timestamp` TIMESTAMP_LTZ(3),
  channel STRING
) WITH (
  'connector' = 'filesystem',
  'path' = 'file://${FILES_DIR}',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

INSERT INTO moments
SELECT emote, `count` - late, window_start, channel
FROM window_counts
WHERE `count` - late > ${MOMENT_THRESHOLD};
