{{ config(severity = 'warn') }}
select *
from {{ ref('counts') }}
where celsius not between -40 and 50
