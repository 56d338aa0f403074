{{ config(severity = 'warn') }}
select shop, counted_at, count(*) as rows
from {{ ref('counts_raw') }}
group by all
having count(*) > 1
