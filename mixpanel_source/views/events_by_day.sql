-- One row per day and event: number of events and of users.
SELECT
    event_date,
    event,
    count(*) AS events,
    count(DISTINCT nullif(distinct_id, '')) AS users
FROM {schema}.export
GROUP BY event_date, event
