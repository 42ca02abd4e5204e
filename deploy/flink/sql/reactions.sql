-- The reactions of emote-log as the projector writes them: one line each, and ticks (without an emote) in between.
--
-- Append time is the only clock of this table. It never descends within a partition, so its watermark is exact, and it is made
-- for each partition by itself (`watermark=` stands in the scan of the plan). Event time is what the log counts by, a column like others.
CREATE TABLE reactions (
  channel STRING,
  emote STRING,
  id STRING,
  id_from_client BOOLEAN,
  event_time TIMESTAMP_LTZ(3),
  append_time TIMESTAMP_LTZ(3),
  late BOOLEAN,
  forwarded_before BOOLEAN,
  -- Where the line is in its partition: which of two lines was first.
  place BIGINT METADATA FROM 'offset' VIRTUAL,
  WATERMARK FOR append_time AS append_time - INTERVAL '0.001' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${REACTIONS_TOPIC}',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP_SERVERS}',
  'properties.group.id' = 'emostream-flink',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = '${BOUNDED_MODE}',
  -- Partitions belong to the log's generation. One found later would begin behind the watermark.
  'scan.topic-partition-discovery.interval' = '0 ms',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);
