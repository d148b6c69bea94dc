-- One row per user profile.
select
    distinct_id
    {%- for column in var('profile_columns') %},
    {{ adapter.quote(column) }}
    {%- endfor %}
from {{ source('mixpanel', 'engage') }}
