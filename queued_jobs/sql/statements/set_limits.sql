-- The limits of a transaction behind a pooler, where a connection cannot keep settings: they end with the transaction.
select set_config('timezone', 'UTC', true) as timezone,
       set_config('statement_timeout', %(statement_timeout)s, true) as statement_timeout,
       set_config('lock_timeout', %(lock_timeout)s, true) as lock_timeout,
       set_config('idle_in_transaction_session_timeout', %(idle_in_transaction_session_timeout)s, true) as idle_timeout
