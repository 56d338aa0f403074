select
    shop,
    date_trunc('hour', counted_at) as window_start,
    date_trunc('hour', counted_at) + interval 1 hour as window_end,
    sum(visitors)::bigint as visitors,
    avg(celsius) as celsius
from {{ ref('counts') }}
group by all
