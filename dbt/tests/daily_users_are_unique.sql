-- A user has one row for each day.
select event_date, distinct_id
from {{ ref('mixpanel_daily_users') }}
group by event_date, distinct_id
having count(*) > 1
