-- Final counts as lines of JSON in a folder, for bounded runs.
CREATE TABLE counts (
  channel STRING,
  window_start TIMESTAMP_LTZ(3),
  emote STRING,
  `count` BIGINT,
  late BIGINT
) WITH (
  'connector' = 'filesystem',
  'path' = 'file://${FILES_DIR}',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

INSERT INTO counts SELECT channel, window_start, emote, `count`, late FROM window_counts;
