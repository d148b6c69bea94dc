-- Each event of a user with a time is in exactly one session.
with expected as (
    select count(*) as events
    from {{ ref('stg_mixpanel__events') }}
    where distinct_id is not null and occurred_at is not null
),

found as (
    select coalesce(sum(events), 0) as events from {{ ref('mixpanel_sessions') }}
)

select * from expected inner join found on expected.events <> found.events
