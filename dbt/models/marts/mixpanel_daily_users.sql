-- One row per user and day with events.
with events as (
    select * from {{ ref('stg_mixpanel__events') }} where distinct_id is not null
),

firsts as (
    select distinct_id, min(event_date) as first_date from events group by distinct_id
)

select
    events.event_date,
    events.distinct_id,
    count(*) as events,
    count(distinct events.event) as different_events,
    min(events.occurred_at) as first_at,
    max(events.occurred_at) as last_at,
    events.event_date = firsts.first_date as is_first_day,
    events.event_date - firsts.first_date as days_since_first
from events
inner join firsts on firsts.distinct_id = events.distinct_id
group by events.event_date, events.distinct_id, firsts.first_date
