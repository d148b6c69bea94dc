-- One row per session: events of a user with gaps of at most 30 minutes.
WITH gaps AS (
    SELECT
        distinct_id,
        time,
        event,
        event_key,
        CASE
            WHEN time - lag(time) OVER in_order <= INTERVAL '30 minutes' THEN 0
            ELSE 1
        END AS begins
    FROM {schema}.export
    WHERE distinct_id <> '' AND time IS NOT NULL
    WINDOW in_order AS (PARTITION BY distinct_id ORDER BY time, event_key)
),
numbered AS (
    SELECT
        gaps.*,
        sum(begins) OVER (
            PARTITION BY distinct_id ORDER BY time, event_key ROWS UNBOUNDED PRECEDING
        ) AS number
    FROM gaps
)
SELECT
    (array_agg(event_key ORDER BY time, event_key))[1] AS session_id,
    distinct_id,
    CAST(number AS bigint) AS session_number,
    min(time) AS started_at,
    max(time) AS ended_at,
    CAST(extract(epoch FROM max(time) - min(time)) AS double precision) AS duration_s,
    count(*) AS events,
    (array_agg(event ORDER BY time, event_key))[1] AS first_event,
    (array_agg(event ORDER BY time DESC, event_key DESC))[1] AS last_event
FROM numbered
GROUP BY distinct_id, number
