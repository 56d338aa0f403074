-- A lag counts hours, not rows: where an hour is missing, what lay before it is not known.
{% set lags = {'visitors_lag_1': ('visitors', 1), 'visitors_lag_2': ('visitors', 2), 'visitors_lag_24': ('visitors', 24), 'celsius_lag_1': ('celsius', 1)} %}
select
    shop,
    window_start,
    visitors,
    {%- for name, (column, hours) in lags.items() %}
    max({{ column }}) over (
        partition by shop order by window_start
        range between interval {{ hours }} hour preceding and interval {{ hours }} hour preceding
    ) as {{ name }},
    {%- endfor %}
    hour(window_start) as hour,
    isodow(window_start) - 1 as weekday
from {{ ref('visitors_hour') }}
