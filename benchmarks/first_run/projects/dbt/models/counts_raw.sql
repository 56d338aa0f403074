select counted_at::timestamp as counted_at, shop::varchar as shop, visitors::bigint as visitors, celsius::double as celsius
from {{ source('landing', 'counts') }}
