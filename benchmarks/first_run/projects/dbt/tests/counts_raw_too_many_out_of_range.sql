-- More than a twentieth of the rows: the counter is broken, and nothing is built from it.
select count(*) filter (visitors not between 0 and 1000) as out_of_range, count(*) as rows
from {{ ref('counts_raw') }}
having out_of_range > 0.05 * rows
