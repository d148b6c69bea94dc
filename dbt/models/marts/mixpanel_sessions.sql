-- One row per session: events of a user with gaps of at most session_minutes.
with gaps as (
    select
        distinct_id,
        occurred_at,
        event,
        event_key,
        case
            when occurred_at - lag(occurred_at) over in_order
                <= interval '{{ var("session_minutes") | int }} minutes' then 0
            else 1
        end as begins
    from {{ ref('stg_mixpanel__events') }}
    where distinct_id is not null and occurred_at is not null
    window in_order as (partition by distinct_id order by occurred_at, event_key)
),

numbered as (
    select
        gaps.*,
        sum(begins) over (
            partition by distinct_id order by occurred_at, event_key rows unbounded preceding
        ) as session_number
    from gaps
)

select
    (array_agg(event_key order by occurred_at, event_key))[1] as session_id,
    distinct_id,
    cast(session_number as bigint) as session_number,
    min(occurred_at) as started_at,
    max(occurred_at) as ended_at,
    cast(extract(epoch from max(occurred_at) - min(occurred_at)) as double precision) as duration_s,
    count(*) as events,
    (array_agg(event order by occurred_at, event_key))[1] as first_event,
    (array_agg(event order by occurred_at desc, event_key desc))[1] as last_event
from numbered
group by distinct_id, session_number
