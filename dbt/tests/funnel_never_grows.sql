-- Nobody reaches a step without the one before.
select later.step
from {{ ref('mixpanel_funnel') }} as later
inner join {{ ref('mixpanel_funnel') }} as earlier on earlier.step = later.step - 1
where later.users > earlier.users
