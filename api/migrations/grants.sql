-- Exactly what the application's role may do; run by the owner after every migration.
-- It owns nothing, deletes only what can be rebuilt or is over, and changes only the columns that live.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM :app_role;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM :app_role;
REVOKE CREATE ON SCHEMA public FROM PUBLIC, :app_role;
GRANT USAGE ON SCHEMA public TO :app_role;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO :app_role;

-- ledger: append-only; the balance rows are made by the database itself, and only two of their columns move
GRANT INSERT (code, kind, class, currency, normal_side) ON ledger_accounts TO :app_role;
GRANT UPDATE (posted_minor, held_minor) ON ledger_balances TO :app_role;
GRANT INSERT (id, kind, source, business_id) ON ledger_entries TO :app_role;
GRANT INSERT ON ledger_legs TO :app_role;
GRANT INSERT (id, account_id, amount_minor, business_id) ON ledger_holds TO :app_role;
GRANT INSERT (hold_id, outcome, entry_id) ON ledger_hold_resolutions TO :app_role;
GRANT USAGE ON SEQUENCE ledger_entry_ids, ledger_hold_ids TO :app_role;  -- also to see how far the entries' ids are

-- the projection of the chain: rebuilt from block 0 at will
GRANT INSERT, UPDATE, DELETE ON chain_cursor, chain_blocks, chain_accounts, chain_tiers, chain_participants,
      chain_currency, chain_supply_history, chain_order_holds TO :app_role;

-- intents: written once; what became of them moves on
GRANT INSERT, UPDATE (address, transaction_id, registered_block, refusal) ON outbox_registrations TO :app_role;
GRANT INSERT, UPDATE (gas, valid_before_s, state, nonce, hash, replaced_hashes, raw, max_fee_per_gas, included_block, final_block, outcome_code)
      ON chain_transactions TO :app_role;
GRANT INSERT, UPDATE (state, attempt, valid_before_s, nonce, transaction_id, record_index, outcome_code, final_block, final_at, closed_by)
      ON outbox_payments TO :app_role;

GRANT INSERT, UPDATE (state, outcome_code) ON outbox_mandates TO :app_role;

GRANT INSERT (log, size, root, last_entry_id, peaks, transaction_id) ON chain_anchors TO :app_role;

-- health and reconciliation
GRANT INSERT, UPDATE, DELETE ON chain_health, chain_freezes TO :app_role;
GRANT INSERT, UPDATE (detail, closed_at) ON chain_cases TO :app_role;
GRANT INSERT, DELETE ON chain_reconciliations TO :app_role;

-- features
GRANT INSERT, UPDATE (revoked_at) ON api_keys TO :app_role;
GRANT INSERT, UPDATE (status, response) ON idempotency_keys TO :app_role;
GRANT INSERT ON customers, accounts, wallets, billers, payments, issuances, reserve_deposits TO :app_role;
GRANT INSERT, UPDATE (last_used_at, confirmed_at, confirmed_by), DELETE ON sessions TO :app_role;
GRANT INSERT, UPDATE (name, institution_address, tier, tier_mask) ON participants TO :app_role;
GRANT USAGE ON SEQUENCE wallet_key_indices TO :app_role;

-- people: what they begin and do not end goes away; what they did stays in the security log
GRANT INSERT, UPDATE (restricted_until) ON people TO :app_role;
GRANT INSERT, UPDATE (verified_at), DELETE ON contacts TO :app_role;
GRANT INSERT, UPDATE (token_hash), DELETE ON registrations TO :app_role;
GRANT INSERT, UPDATE (purpose, code_hash, tries_left, expires_at), DELETE ON one_time_codes TO :app_role;
GRANT INSERT, UPDATE (hash, set_at) ON passwords TO :app_role;
GRANT INSERT, UPDATE (counted, counted_at, blocked_until), DELETE ON throttles TO :app_role;
GRANT INSERT, UPDATE (tries_left), DELETE ON tickets TO :app_role;
GRANT INSERT, UPDATE (sealed_secret, last_step, confirmed_at), DELETE ON authenticator_apps TO :app_role;
GRANT INSERT, UPDATE (used_at), DELETE ON recovery_codes TO :app_role;
GRANT INSERT, UPDATE (sign_count, last_used_at), DELETE ON passkeys TO :app_role;
GRANT INSERT, UPDATE (last_seen_at, name), DELETE ON devices TO :app_role;
GRANT INSERT (customer_id, kind, detail, from_address, device_name) ON security_events TO :app_role;
GRANT INSERT, UPDATE (token_hash, ready_at, cancelled_at, completed_at), DELETE ON recoveries TO :app_role;
GRANT INSERT, UPDATE (state, outcome_code, ask_at) ON outbox_credential_changes TO :app_role;
-- notifications: the feed is append-only; of deliveries and the sandbox's mailbox, what is long over goes
GRANT INSERT, UPDATE (language, email, phone, read_seq) ON notification_people TO :app_role;
GRANT INSERT, UPDATE (is_on) ON notification_preferences TO :app_role;
GRANT INSERT ON notification_feed TO :app_role;
GRANT INSERT, UPDATE (state, args, attempts, next_try_at, last_error, ended_at), DELETE ON notification_deliveries TO :app_role;
GRANT INSERT, DELETE ON sandbox_mailbox TO :app_role;
GRANT INSERT, UPDATE (secret, secret_id, former_secret, former_until, failing_since, disabled_at, disabled_why), DELETE
      ON webhook_endpoints TO :app_role;
GRANT INSERT, DELETE ON webhook_events TO :app_role;
GRANT INSERT, UPDATE (state, attempts, next_try_at, last_status, last_error, ended_at) ON webhook_deliveries TO :app_role;
GRANT UPDATE (next_xid, last_entry_id) ON payment_announcements TO :app_role;
-- the directory: an alias goes with its release, a look-up after two days
GRANT INSERT, UPDATE (full_at) ON lookup_budgets TO :app_role;
GRANT INSERT, UPDATE, DELETE ON directory_aliases TO :app_role;
GRANT INSERT, UPDATE (state, decided_at) ON directory_claims TO :app_role;
GRANT INSERT, UPDATE (payment_id, transaction_hash), DELETE ON directory_lookups TO :app_role;
GRANT INSERT, UPDATE (payment_id, shown_at), DELETE ON alias_lookups TO :app_role;
GRANT INSERT, UPDATE (wallet_id, verified_at), DELETE ON customer_aliases TO :app_role;
GRANT INSERT, UPDATE (state, payment_id, decided_at) ON payment_requests TO :app_role;
GRANT INSERT ON refunds TO :app_role;
GRANT INSERT (receipt_id, payer, payee, amount_minor, transaction_hash, block_number) ON chain_receipts TO :app_role;
-- what people approve: a challenge is used once; one that nobody used is cleared away
GRANT INSERT, UPDATE (credential_id, used_at), DELETE ON wallet_openings TO :app_role;
GRANT INSERT, UPDATE (challenge, expires_at_s, used_at), DELETE ON approvals TO :app_role;
GRANT INSERT, UPDATE (state, code, next_on, attempts, next_attempt_at) ON standing_orders TO :app_role;
GRANT INSERT ON standing_order_runs TO :app_role;
