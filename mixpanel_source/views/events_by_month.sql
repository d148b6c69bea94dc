-- A row for each calendar month and event. Users of days do not add up to users of months.
SELECT
    CAST(date_trunc('month', event_date) AS date) AS month,
    event,
    count(*) AS events,
    count(DISTINCT nullif(distinct_id, '')) AS users
FROM {schema}.export
GROUP BY CAST(date_trunc('month', event_date) AS date), event
