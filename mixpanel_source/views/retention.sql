-- One row per {unit} of users' first events and {unit} with events since then: how many of these
-- users came back (0 included), in absolute numbers and as a share.
WITH user_{unit}s AS (
    SELECT DISTINCT distinct_id, CAST(date_trunc('{unit}', event_date) AS date) AS {unit}
    FROM {schema}.export
    WHERE distinct_id <> '' AND event_date IS NOT NULL
),
since AS (
    SELECT
        distinct_id,
        {unit},
        min({unit}) OVER (PARTITION BY distinct_id) AS first_{unit}
    FROM user_{unit}s
),
cells AS (
    SELECT firsts.first_{unit}, calendar.{unit}
    FROM (SELECT DISTINCT first_{unit} FROM since) AS firsts
    JOIN (SELECT DISTINCT {unit} FROM since) AS calendar
        ON calendar.{unit} >= firsts.first_{unit}
),
counted AS (
    SELECT
        cells.first_{unit},
        CAST((cells.{unit} - cells.first_{unit}) / {days} AS integer) AS {unit}s_later,
        count(since.distinct_id) AS users
    FROM cells
    LEFT JOIN since
        ON since.first_{unit} = cells.first_{unit} AND since.{unit} = cells.{unit}
    GROUP BY cells.first_{unit}, cells.{unit}
)
SELECT
    first_{unit},
    {unit}s_later,
    users,
    CAST(users AS double precision) / max(users) OVER (PARTITION BY first_{unit}) AS of_first
FROM counted
