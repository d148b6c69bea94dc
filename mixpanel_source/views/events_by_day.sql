-- A row for each day and event: how many events, and how many users had one.
SELECT
    event_date,
    event,
    count(*) AS events,
    count(DISTINCT nullif(distinct_id, '')) AS users
FROM {schema}.export
GROUP BY event_date, event
