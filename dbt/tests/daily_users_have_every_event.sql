-- Each event of a user is counted on its day.
with expected as (
    select event_date, count(*) as events
    from {{ ref('stg_mixpanel__events') }}
    where distinct_id is not null
    group by event_date
),

found as (
    select event_date, sum(events) as events from {{ ref('mixpanel_daily_users') }} group by event_date
)

select expected.event_date
from expected
full outer join found on found.event_date = expected.event_date
where expected.events is distinct from found.events
