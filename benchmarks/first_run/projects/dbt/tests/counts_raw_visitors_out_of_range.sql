{{ config(severity = 'warn') }}
select *
from {{ ref('counts_raw') }}
where visitors not between 0 and 1000
