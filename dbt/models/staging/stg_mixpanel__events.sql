-- One row per event; an event without a user has no distinct_id.
select
    event_key,
    event,
    time as occurred_at,
    event_date,
    nullif(distinct_id, '') as distinct_id,
    insert_id
    {%- for column in var('event_columns') %},
    {{ adapter.quote(column) }}
    {%- endfor %}
from {{ source('mixpanel', 'export') }}
