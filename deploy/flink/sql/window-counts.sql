-- Final counts per channel, window of 2 s and emote: exactly those of Emostream, from `reactions`.
--
-- The numbers are those of the log's generation: window 2 s, lateness 0.5 s, horizon 4 min. All state lives by append time:
-- nothing is forgotten too early when the job stood still, and nothing too late when it catches up.

-- A line counts when it is the first with its id within the horizon. Client retries and lines that the projector repeats are
-- later ones. Ids that ingest assigned are apart: a client that gives one of them has not sent that reaction before.
CREATE TEMPORARY VIEW first_reactions AS
SELECT channel, emote, event_time, append_time, late
FROM (
  SELECT channel, emote, event_time, append_time, late, forwarded_before, place,
    MIN(place) OVER (
      PARTITION BY channel, id, id_from_client
      ORDER BY append_time
      RANGE BETWEEN INTERVAL '4' MINUTE PRECEDING AND CURRENT ROW
    ) AS first_place
  FROM reactions
  WHERE emote IS NOT NULL
)
WHERE place = first_place AND forwarded_before IS NOT TRUE;

-- Event time is at most the lateness behind append time, so a window of event time lies within the two windows of append time
-- that begin with it. Of the two spans that a line falls in, the one counts that begins with the window of its event time.
CREATE TEMPORARY VIEW window_counts AS
SELECT channel, window_start, emote, COUNT(*) AS `count`, COUNT(*) FILTER (WHERE late) AS late
FROM TABLE(HOP(TABLE first_reactions, DESCRIPTOR(append_time), INTERVAL '2' SECOND, INTERVAL '4' SECOND))
WHERE window_start <= event_time AND event_time < window_start + INTERVAL '2' SECOND
GROUP BY channel, window_start, window_end, emote;
