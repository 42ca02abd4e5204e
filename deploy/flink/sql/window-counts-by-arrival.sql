-- The same counts for half the work, with ids remembered by the clock on the wall: differs from Emostream where ids come again
-- after the horizon, and where the job stood still for longer than it remembers ids. Reads `reactions_by_arrival`.
CREATE TABLE reactions_by_arrival (
  arrival AS PROCTIME(),
  -- Event time is at most the lateness behind append time: nothing comes behind this watermark.
  WATERMARK FOR event_time AS append_time - INTERVAL '0.5' SECOND
) LIKE reactions (EXCLUDING WATERMARKS);

SET 'table.exec.state.ttl' = '10 min';

-- Of lines with one id the one that arrives first: that is the first in the log, since both come from one partition.
CREATE TEMPORARY VIEW first_reactions AS
SELECT channel, emote, event_time, late
FROM (
  SELECT channel, emote, event_time, late, forwarded_before,
    ROW_NUMBER() OVER (PARTITION BY channel, id, id_from_client ORDER BY arrival) AS number
  FROM reactions_by_arrival
  WHERE emote IS NOT NULL
)
WHERE number = 1 AND forwarded_before IS NOT TRUE;

CREATE TEMPORARY VIEW window_counts AS
SELECT channel, window_start, emote, COUNT(*) AS `count`, COUNT(*) FILTER (WHERE late) AS late
FROM TABLE(TUMBLE(TABLE first_reactions, DESCRIPTOR(event_time), INTERVAL '2' SECOND))
GROUP BY channel, window_start, window_end, emote;
