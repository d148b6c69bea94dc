-- One row per day with events: the users of the day, and of the 7 and 30 days that end with it.
-- Each active day of a user adds 1 to the counts from that day on, until the user's next active day
-- or the end of the 7 or 30 days, so a single pass over the active days is enough.
WITH user_days AS (
    SELECT DISTINCT event_date, distinct_id
    FROM {schema}.export
    WHERE distinct_id <> '' AND event_date IS NOT NULL
),
spans AS (
    SELECT
        event_date,
        coalesce(
            lead(event_date) OVER (PARTITION BY distinct_id ORDER BY event_date),
            event_date + 30
        ) AS next_date
    FROM user_days
),
changes AS (
    SELECT event_date AS day, 1 AS daily, 1 AS weekly, 1 AS monthly FROM spans
    UNION ALL
    SELECT event_date + 1, -1, 0, 0 FROM spans
    UNION ALL
    SELECT least(next_date, event_date + 7), 0, -1, 0 FROM spans
    UNION ALL
    SELECT least(next_date, event_date + 30), 0, 0, -1 FROM spans
),
days AS (
    SELECT DISTINCT event_date FROM {schema}.export WHERE event_date IS NOT NULL
),
summed AS (
    SELECT day, sum(daily) AS daily, sum(weekly) AS weekly, sum(monthly) AS monthly
    FROM (SELECT * FROM changes UNION ALL SELECT event_date, 0, 0, 0 FROM days) AS changed
    GROUP BY day
),
running AS (
    SELECT
        day,
        CAST(sum(daily) OVER so_far AS bigint) AS daily,
        CAST(sum(weekly) OVER so_far AS bigint) AS weekly,
        CAST(sum(monthly) OVER so_far AS bigint) AS monthly
    FROM summed
    WINDOW so_far AS (ORDER BY day)
)
SELECT days.event_date, running.daily, running.weekly, running.monthly
FROM days
JOIN running ON running.day = days.event_date
