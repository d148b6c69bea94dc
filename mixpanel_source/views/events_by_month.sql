-- One row per calendar month and event. Users per day do not add up to users per month.
SELECT
    CAST(date_trunc('month', event_date) AS date) AS month,
    event,
    count(*) AS events,
    count(DISTINCT nullif(distinct_id, '')) AS users
FROM {schema}.export
GROUP BY CAST(date_trunc('month', event_date) AS date), event
