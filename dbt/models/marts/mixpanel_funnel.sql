-- One row per step of funnel_steps: users who reached it in any attempt, within funnel_days of the
-- first step. Steps within the same second count as ordered.
{% set steps = var('funnel_steps') -%}
{%- set days = var('funnel_days') | int -%}
{%- if steps | length != steps | unique | list | length -%}
    {{ exceptions.raise_compiler_error('funnel_steps names an event twice.') }}
{%- endif -%}
{%- if not steps -%}
select
    cast(null as integer) as step,
    cast(null as {{ dbt.type_string() }}) as event,
    cast(null as bigint) as users,
    cast(null as double precision) as of_previous,
    cast(null as double precision) as of_first
where 1 = 0
{%- else -%}
{%- set names = [] -%}
{%- for step in steps -%}
    {%- do names.append("'" ~ (step | replace("'", "''")) ~ "'") -%}
{%- endfor -%}
with reached_0 as (
    select distinct_id, event, occurred_at, occurred_at as start_0
    from {{ ref('stg_mixpanel__events') }}
    where event in ({{ names | join(', ') }})
        and distinct_id is not null
        and occurred_at is not null
),
{% for name in names %}
reached_{{ loop.index }} as (
    select
        reached_{{ loop.index0 }}.*,
        -- the latest start of an attempt that has reached the step by then
        max(case when event = {{ name }} then start_{{ loop.index0 }} end)
            over (partition by distinct_id order by occurred_at range unbounded preceding)
            as start_{{ loop.index }}
    from reached_{{ loop.index0 }}
),
{% endfor %}
counted as (
    {% for name in names %}
    {%- if not loop.first %}
    union all
    {% endif -%}
    select {{ loop.index }} as step, {{ name }} as event, count(distinct distinct_id) as users
    from reached_{{ names | length }}
    where event = {{ name }} and occurred_at - start_{{ loop.index }} <= interval '{{ days }} days'
    {%- endfor %}
)

select
    step,
    event,
    users,
    cast(users as double precision) / nullif(lag(users) over (order by step), 0) as of_previous,
    cast(users as double precision)
        / nullif(first_value(users) over (order by step), 0) as of_first
from counted
{%- endif %}
