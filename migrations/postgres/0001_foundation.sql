-- The first schema: merchants, wallets, invoices, facts, events, deliveries, chains.
--
-- Rules for every table: TEXT, BIGINT and BYTEA columns only; amounts are decimal TEXT counts of
-- atomic units and are never compared, ordered or summed in SQL; times are BIGINT milliseconds
-- since 1970 UTC; `id` is internal, `public_id` is what the outside sees; truth is 0 or 1.
-- migrations/sqlite holds the same tables and columns under the same file name.
-- Here `watched` and `events` have one more, `xid`: the transaction that wrote the row.

-- Lists travel as one JSON text. SQLite's json_each takes text; with this overload both databases
-- run the same statement. Elements are JSON objects, read with ->>.
CREATE FUNCTION json_each(t text) RETURNS TABLE (value jsonb) LANGUAGE sql IMMUTABLE
    AS 'SELECT jsonb_array_elements(t::jsonb)';
-- Bytes inside such a list are hexadecimal text; SQLite has this function built in.
CREATE FUNCTION unhex(t text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT decode(t, ''hex'')';

-- Tenants. Every other row belongs to one.
CREATE TABLE merchants (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    public_id  TEXT NOT NULL UNIQUE,         -- mer_..
    name       TEXT NOT NULL,                -- shown to operators
    created_at BIGINT NOT NULL               -- when it was registered
);

-- Keys of the API. The key itself is shown once and never stored.
CREATE TABLE api_keys (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    public_id  TEXT NOT NULL UNIQUE,         -- key_..
    merchant   BIGINT NOT NULL REFERENCES merchants (id), -- whose key it is
    mode       TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- which chains it may see
    hash       BYTEA NOT NULL UNIQUE,         -- MAC under the master key over the key and what it may do
    scopes     TEXT NOT NULL,                -- JSON list of what it may do
    label      TEXT NOT NULL,                -- given by the operator
    created_at BIGINT NOT NULL,              -- when it was made
    networks     TEXT NOT NULL,              -- JSON list of the networks that it may be used from; empty for all
    expires_at   BIGINT,                     -- from when on it is refused; NULL for never
    revoked_at   BIGINT,                     -- from when on somebody wanted it to be refused
    last_used_at BIGINT                      -- when it was last used, to the minute; NULL before that
);
-- Serves the list of a merchant's keys.
CREATE INDEX api_keys_by_merchant ON api_keys (merchant, id);

-- Public key material of a merchant for one chain family.
CREATE TABLE wallets (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    public_id    TEXT NOT NULL UNIQUE,       -- wal_..
    merchant     BIGINT NOT NULL REFERENCES merchants (id), -- whose money it receives
    mode         TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- which chains it is for
    family       TEXT NOT NULL,              -- chain family, for example bitcoin
    kind         TEXT NOT NULL,              -- how addresses are made, for example xpub
    key          TEXT NOT NULL,              -- public key or descriptor in canonical form
    node         TEXT NOT NULL,              -- hex of a hash over the parent node's public key and chain code
    fingerprint  TEXT NOT NULL,              -- short form of the key, compared by people
    label        TEXT NOT NULL,              -- given by the merchant
    state        TEXT NOT NULL CHECK (state IN ('pending', 'active', 'archived')), -- pending until an operator confirms
    is_default   BIGINT NOT NULL CHECK (is_default IN (0, 1)), -- used where an option names no wallet
    start_index  BIGINT NOT NULL,            -- first index that may be handed out
    scanned_index BIGINT,                    -- highest index that a scan found paid; NULL when none was
    seal         BYTEA NOT NULL,              -- MAC under the master key over what addresses are derived from
    created_at   BIGINT NOT NULL,            -- when it was registered
    confirmed_at BIGINT,                     -- when an operator compared its addresses
    UNIQUE (merchant, mode, key)
);
-- Serves the search for the default wallet of a family; there is at most one.
CREATE UNIQUE INDEX wallets_default ON wallets (merchant, mode, family) WHERE is_default = 1;
-- Serves the list of a merchant's wallets, newest first.
CREATE INDEX wallets_by_merchant ON wallets (merchant, mode, id);
-- Serves the check whether another merchant uses a key.
CREATE INDEX wallets_by_node ON wallets (node);

-- The next derivation index of each parent node; shared by all wallets on the same node.
CREATE TABLE key_counters (
    node       TEXT PRIMARY KEY,             -- as in wallets
    next_index BIGINT NOT NULL               -- first index that was never handed out
);

-- Addresses that a merchant's own wallet made, for wallets of the kind address_pool. Append-only; each is
-- handed out once, in their order.
CREATE TABLE pool_addresses (
    wallet   BIGINT NOT NULL REFERENCES wallets (id), -- whose pool it is in
    position BIGINT NOT NULL,                -- place in the order, from 0; the index that the wallet's counter gives
    family   TEXT NOT NULL,                  -- chain family; an address is in one pool of it
    address  TEXT NOT NULL,                  -- as the merchant gave it
    seal     BYTEA NOT NULL,                   -- MAC under the master key over wallet, position and address
    PRIMARY KEY (wallet, position),
    UNIQUE (family, address)
);

-- Invoices: terms that never change, and what was last said about them.
CREATE TABLE invoices (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    public_id     TEXT NOT NULL UNIQUE,      -- inv_..; the checkout link
    merchant      BIGINT NOT NULL REFERENCES merchants (id), -- whose invoice it is
    mode          TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- of all its chains
    order_id      TEXT,                      -- the merchant's own reference
    terms         TEXT NOT NULL,             -- JSON; immutable after creation
    metadata      TEXT NOT NULL,             -- JSON; the merchant's own, never interpreted
    created_at    BIGINT NOT NULL,           -- when it was created
    expires_at    BIGINT NOT NULL,           -- payments sighted later are late
    late_until    BIGINT NOT NULL,           -- late payments count until then
    status        TEXT NOT NULL,             -- as last said; a copy for filters, never an input of the fold
    said          TEXT,                      -- JSON of what was last said, compared with each new fold; NULL before the first event
    version       BIGINT NOT NULL,           -- number of its last event, 0 before the first
    window_closed BIGINT NOT NULL CHECK (window_closed IN (0, 1)), -- whether expiry was said
    quarantined   TEXT,                      -- the violation that stopped its fold
    seal          BYTEA NOT NULL              -- MAC under the master key over its terms
);
-- Serves the list of a merchant's invoices, newest first.
CREATE INDEX invoices_by_merchant ON invoices (merchant, mode, id);
-- Serves the list filtered by status.
CREATE INDEX invoices_by_status ON invoices (merchant, mode, status, id);
-- Serves the list filtered by the merchant's reference.
CREATE INDEX invoices_by_order ON invoices (merchant, mode, order_id, id) WHERE order_id IS NOT NULL;
-- Serves the list filtered by the time of creation.
CREATE INDEX invoices_by_time ON invoices (merchant, mode, created_at, id);

-- The ways to pay an invoice; immutable.
CREATE TABLE options (
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    public_id        TEXT NOT NULL UNIQUE,   -- opt_..
    invoice          BIGINT NOT NULL REFERENCES invoices (id), -- what it pays
    merchant         BIGINT NOT NULL REFERENCES merchants (id), -- of the invoice; leads the index by asset
    mode             TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- of the invoice
    position         BIGINT NOT NULL,        -- place among the options of the terms, from 0
    family           TEXT NOT NULL,          -- chain family; addresses are unique in it
    chain            TEXT NOT NULL,          -- short name of the chain
    asset            TEXT NOT NULL,          -- symbol@chain
    caip19           TEXT NOT NULL,          -- the asset's CAIP-19 id
    amount           TEXT NOT NULL,          -- what is due, atomic units; for people who read this table, the terms hold it too
    wallet           BIGINT NOT NULL REFERENCES wallets (id), -- where its address comes from
    derivation_index BIGINT NOT NULL,        -- child of the wallet's parent node
    derivation_path  TEXT NOT NULL,          -- the same, for people
    address          TEXT NOT NULL,          -- where to pay
    watch_key        TEXT NOT NULL,          -- what a scan looks for, lower-case hexadecimal
    payment_uri      TEXT NOT NULL,          -- what a QR code holds
    seal             BYTEA NOT NULL,          -- MAC under the master key over address, asset and amount
    UNIQUE (invoice, position),
    UNIQUE (invoice, asset),
    UNIQUE (family, address)
);
-- Serves the filter of lists by address.
CREATE INDEX options_by_address ON options (address);
-- Serves the filter of lists by asset.
CREATE INDEX options_by_asset ON options (merchant, mode, asset, invoice);
-- Serves the highest index that a wallet handed out, and its gap meter.
CREATE INDEX options_by_wallet ON options (wallet, derivation_index, invoice);

-- The keys that each chain family watches: those of options, and the other forms of the same keys, which
-- wallets of the merchant can spend and which are never credited. A key is watched on every chain of its family.
-- Append-only; loaded in the order of commits.
CREATE TABLE watched (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- grows with each row
    family TEXT NOT NULL,                    -- chain family
    key    TEXT NOT NULL,                    -- what a scan looks for, lower-case hexadecimal
    option BIGINT NOT NULL REFERENCES options (id), -- whose key it is
    sibling_form    TEXT,                    -- for another form of the option's key, which, for example p2tr
    sibling_address TEXT,                    -- for another form of the option's key, its address
    xid    BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint), -- transaction that wrote the row
    UNIQUE (family, key),
    CHECK ((sibling_form IS NULL) = (sibling_address IS NULL))
);
-- Serves the incremental load of a family's watch table.
CREATE INDEX watched_by_family ON watched (family, xid, id);
-- Rows with a mark at or above the watched_mark that was read before an earlier load are all that
-- this load may not have seen: ids are given before the commit, so a row with a lower id can appear
-- after one with a higher id, but never one of a transaction below the oldest that still runs.
CREATE VIEW watched_marked AS SELECT xid AS mark, id, family, key, option FROM watched;
-- Where the next load begins; read it before the rows or with the first of them.
CREATE VIEW watched_mark AS SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS mark;

-- Facts: an amount credited to a watched key at a position in a transaction. Append-only.
CREATE TABLE transfers (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    public_id  TEXT NOT NULL UNIQUE,         -- trf_..
    invoice    BIGINT NOT NULL REFERENCES invoices (id), -- of its option
    merchant   BIGINT NOT NULL REFERENCES merchants (id), -- of the invoice; leads the indexes of lists
    mode       TEXT NOT NULL,                -- of the invoice
    option     BIGINT NOT NULL REFERENCES options (id), -- whose key was paid
    sibling_form    TEXT,                    -- when another form of its key was paid, which; never credited
    sibling_address TEXT,                    -- when another form of its key was paid, its address
    stray_decimals BIGINT,                   -- when it is not the option's asset, its digits after the point; never credited
    chain      TEXT NOT NULL,                -- where it was seen
    asset      TEXT NOT NULL,                -- what was paid, symbol@chain
    amount     TEXT NOT NULL,                -- atomic units
    tx_id      TEXT NOT NULL,                -- transaction
    position   TEXT NOT NULL,                -- place in the transaction, for example vout:0
    maturity   BIGINT NOT NULL,              -- blocks that the chain demands before it can be spent; 0 for none
    origin     TEXT NOT NULL,                -- the first transaction seen to spend the same money; those that replace each other share it
    sighted_at BIGINT NOT NULL,              -- decides in time or late; stored once
    final_at   BIGINT,                       -- when it was first said to be final; stored once, NULL before
    created_at BIGINT NOT NULL,              -- when this row was written
    UNIQUE (chain, tx_id, position, option),
    CHECK ((sibling_form IS NULL) = (sibling_address IS NULL)),
    CHECK (stray_decimals IS NULL OR sibling_form IS NULL)
);
-- Serves the fold of an invoice.
CREATE INDEX transfers_by_invoice ON transfers (invoice, id);
-- Serves the filter of lists by transaction.
CREATE INDEX transfers_by_transaction ON transfers (tx_id);
-- Serves the list of a merchant's transfers, newest first.
CREATE INDEX transfers_by_merchant ON transfers (merchant, mode, id);
-- Serves the same of one asset.
CREATE INDEX transfers_by_asset ON transfers (merchant, mode, asset, id);
-- Serves the same of one chain.
CREATE INDEX transfers_by_chain ON transfers (merchant, mode, chain, id);
-- Serves the same of an address that is another form of an option's key.
CREATE INDEX transfers_by_sibling ON transfers (sibling_address) WHERE sibling_address IS NOT NULL;

-- Where a transfer stands or stood, from when to when. Closed, never deleted.
CREATE TABLE placements (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    transfer    BIGINT NOT NULL REFERENCES transfers (id), -- what stands there
    chain       TEXT NOT NULL,               -- of the transfer; leads the indexes
    height      BIGINT,                      -- of the block; NULL in the mempool
    block_hash  TEXT,                        -- of the block; NULL in the mempool
    entered_at  BIGINT NOT NULL,             -- since when
    left_at     BIGINT,                      -- until when; NULL while it stands
    left_reason TEXT CHECK (left_reason IN ('mined', 'replaced', 'evicted', 'conflicted', 'reorged')), -- why it left
    CHECK ((height IS NULL) = (block_hash IS NULL)),
    CHECK ((left_at IS NULL) = (left_reason IS NULL))
);
-- A transfer stands in one place at a time; serves the fold.
CREATE UNIQUE INDEX placements_open ON placements (transfer) WHERE left_at IS NULL;
-- Serves closing the placements above a fork.
CREATE INDEX placements_by_height ON placements (chain, height) WHERE left_at IS NULL AND height IS NOT NULL;
-- Serves the watch over payments that lost their block: what they spend may be spent otherwise.
CREATE INDEX placements_reorged ON placements (chain, height) WHERE left_reason = 'reorged';
-- Serves the comparison with a mempool snapshot.
CREATE INDEX placements_in_mempool ON placements (chain, transfer) WHERE left_at IS NULL AND height IS NULL;
-- Serves the history of a transfer.
CREATE INDEX placements_by_transfer ON placements (transfer, id);

-- Outpoints spent by the transactions that pay us, and by others that spend the same: two transactions
-- that spend one replace each other.
CREATE TABLE spends (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    chain    TEXT NOT NULL,                  -- where
    tx_id    TEXT NOT NULL,                  -- the transaction that spends
    outpoint TEXT NOT NULL,                  -- what it spends, txid:n
    UNIQUE (chain, tx_id, outpoint)
);
-- Serves the search for transactions that a new one replaces.
CREATE INDEX spends_by_outpoint ON spends (chain, outpoint, tx_id);

-- What stood at addresses that are paid in a chain's coin, on chains where blocks do not show all that comes:
-- as of the last look at each.
CREATE TABLE looks (
    option  BIGINT PRIMARY KEY REFERENCES options (id), -- whose address
    invoice BIGINT NOT NULL REFERENCES invoices (id), -- of its option
    chain   TEXT NOT NULL,                   -- of its option
    height  BIGINT NOT NULL,                 -- of the block at whose end it was looked at
    balance TEXT NOT NULL,                   -- what stood there, atomic units
    nonce   BIGINT NOT NULL,                 -- how many transactions the address had sent
    is_last BIGINT NOT NULL CHECK (is_last IN (0, 1)) -- whether the late window was over, so that nobody looks again
);
-- Serves the search for what is to be looked at.
CREATE INDEX looks_again ON looks (chain, invoice) WHERE is_last = 0;
-- Serves forgetting what was found on blocks that leave the chain.
CREATE INDEX looks_by_height ON looks (chain, height);

-- What such addresses paid out with transactions of their own. A row goes once a look has taken it into account.
CREATE TABLE outflows (
    option BIGINT NOT NULL REFERENCES options (id), -- whose address
    chain  TEXT NOT NULL,                    -- of its option
    nonce  BIGINT NOT NULL,                  -- number among the transactions of the address, from 0
    height BIGINT NOT NULL,                  -- of its block
    amount TEXT,                             -- what it took, fees included, atomic units; NULL when the block does not tell
    PRIMARY KEY (option, nonce)
);
-- Serves forgetting those of blocks that leave the chain.
CREATE INDEX outflows_by_height ON outflows (chain, height);

-- What a node said of a transaction that pays us before it had a block: whether it may count without one.
-- A row stays as it is once the transaction keeps every rule.
CREATE TABLE vettings (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    chain         TEXT NOT NULL,             -- where
    tx_id         TEXT NOT NULL,             -- the transaction
    vetted_at     BIGINT NOT NULL,           -- when the node said so
    has_parents   BIGINT NOT NULL CHECK (has_parents IN (0, 1)), -- whether it spends money that is not confirmed itself
    fee_rate      BIGINT NOT NULL,           -- what it pays, atomic units for 1,000 units of size
    fee_rate_next BIGINT,                    -- what the next block costs, in the same unit; NULL when the node did not know
    missing_since BIGINT,                    -- since when a node that began anew does not have it; NULL while it does
    UNIQUE (chain, tx_id)
);

-- What a person has or had to decide about an invoice. Closed, never deleted.
CREATE TABLE exceptions (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    public_id   TEXT NOT NULL UNIQUE,        -- exc_..
    invoice     BIGINT NOT NULL REFERENCES invoices (id), -- whose
    merchant    BIGINT NOT NULL REFERENCES merchants (id), -- of the invoice; leads the indexes of lists
    mode        TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- of the invoice
    kind        TEXT NOT NULL,               -- what there is to decide, for example recoverable
    option      BIGINT REFERENCES options (id), -- the option that it is about; NULL for the invoice as a whole
    form        TEXT,                        -- the other form of the option's key that was paid, for example p2tr; NULL for its own address
    address     TEXT,                        -- the address of that form; NULL for the option's own
    asset       TEXT,                        -- what was paid that is not the option's asset, symbol@chain; NULL for the option's own
    amount      TEXT,                        -- what is at stake, atomic units, as last told; NULL for the invoice as a whole
    violation   TEXT,                        -- for the invoice as a whole, the rule that does not hold of it
    opened_at   BIGINT NOT NULL,             -- when it was told
    resolved_at BIGINT,                      -- when it was told that nothing has to be decided any more; NULL while open
    CHECK ((form IS NULL) = (address IS NULL)),
    CHECK (form IS NULL OR asset IS NULL),
    CHECK ((option IS NULL) = (amount IS NULL)),
    CHECK ((option IS NULL) = (violation IS NOT NULL)),
    CHECK ((option IS NULL) = (kind = 'quarantined'))
);
-- Serves the fold of an invoice.
CREATE INDEX exceptions_by_invoice ON exceptions (invoice, id);
-- Serves the list of a merchant's exceptions, newest first.
CREATE INDEX exceptions_by_merchant ON exceptions (merchant, mode, id);
-- Serves the list of one kind.
CREATE INDEX exceptions_by_kind ON exceptions (merchant, mode, kind, id);
-- Serves the list of what is to be decided.
CREATE INDEX exceptions_undecided ON exceptions (merchant, mode, id) WHERE resolved_at IS NULL;
-- Serves the list of what is to be decided of one kind.
CREATE INDEX exceptions_undecided_by_kind ON exceptions (merchant, mode, kind, id) WHERE resolved_at IS NULL;
-- Serves the list of invoices about which something is to be decided.
CREATE INDEX exceptions_undecided_by_invoice ON exceptions (merchant, mode, invoice) WHERE resolved_at IS NULL;
-- However many transfers went to an address, there is at most one open exception of a kind about it.
CREATE UNIQUE INDEX exceptions_open ON exceptions (invoice, COALESCE(option, 0), kind, COALESCE(address, ''), COALESCE(asset, ''))
    WHERE resolved_at IS NULL;

-- What operators and merchants decided about an invoice. Facts too: append-only.
CREATE TABLE operator_facts (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    invoice    BIGINT NOT NULL REFERENCES invoices (id), -- what was decided about
    kind       TEXT NOT NULL,                -- what was decided, for example canceled
    body       TEXT NOT NULL,                -- JSON; what belongs to the kind
    actor      TEXT NOT NULL,                -- who decided, for example key_..
    created_at BIGINT NOT NULL               -- when
);
-- Serves the fold of an invoice.
CREATE INDEX operator_facts_by_invoice ON operator_facts (invoice, id);

-- Headers that each follower keeps, to find where a reorganisation begins: every one of the newest, and
-- below them every hundredth and the first that was ever read.
CREATE TABLE blocks (
    chain  TEXT NOT NULL,                    -- short name of the chain
    height BIGINT NOT NULL,                  -- of the block
    hash   TEXT NOT NULL,                    -- of the block
    parent TEXT NOT NULL,                    -- hash of the block below
    time   BIGINT NOT NULL,                  -- as the block claims it
    PRIMARY KEY (chain, height)
);

-- One row per chain: lease, cursor and health. The cursor moves only under the fence of the lease.
CREATE TABLE chains (
    chain         TEXT PRIMARY KEY,          -- short name of the chain
    height        BIGINT,                    -- of the last applied block; NULL before the first
    hash          TEXT,                      -- of the last applied block; NULL before the first
    fence         BIGINT NOT NULL,           -- grows with each change of the holder
    holder        TEXT,                      -- process that follows the chain
    lease_until   BIGINT NOT NULL,           -- when another process may take over
    covered_until BIGINT,                    -- time up to which the chain is covered; NULL before it ever was
    tip_height    BIGINT,                    -- tip of the node, as last read
    safe_height   BIGINT,                    -- up to which block the tag safe stands; it never goes back while the blocks stay
    confirmed_height BIGINT,                 -- the same of the commitment confirmed
    finalized_height BIGINT,                 -- the same of the tag or the commitment finalized
    halted        TEXT,                      -- why nothing is applied until an operator looked
    resumed_at    BIGINT,                    -- when an operator let it go on from a halt; NULL again once a chain event was applied
    unseen_asset  TEXT,                      -- of which more may have come than its blocks tell, symbol@chain; NULL when they tell everything
    looked_until  BIGINT,                    -- time of the block after which all balances in it were last looked at; 0 before that
    blocks_per_minute BIGINT,                -- how fast it catches up; NULL at the tip
    problem_code  TEXT,                      -- stable name of what is wrong with the node; NULL when nothing is
    problem       TEXT,                      -- the same in words
    endpoints     TEXT,                      -- JSON: how each of its endpoints was when that last changed; NULL before the first was asked
    updated_at    BIGINT NOT NULL,           -- when the follower last wrote here
    CHECK ((height IS NULL) = (hash IS NULL)),
    CHECK ((unseen_asset IS NULL) = (looked_until IS NULL)),
    CHECK ((problem_code IS NULL) = (problem IS NULL))
);

-- Times in which nobody could look at a chain, for example because its node did not answer. What waits for
-- time without a block begins anew after one. Kept for good; the fold reads those of the last 30 days.
CREATE TABLE gaps (
    chain    TEXT NOT NULL,                  -- short name of the chain
    began_at BIGINT NOT NULL,                -- when the last poll before it began
    ended_at BIGINT NOT NULL,                -- when the first poll after it began
    PRIMARY KEY (chain, ended_at),
    CHECK (began_at < ended_at)
);

-- What invoices wait for: read by index when a tip, a mark or the time passes it.
CREATE TABLE awaited (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    invoice  BIGINT NOT NULL REFERENCES invoices (id), -- who waits
    chain    TEXT NOT NULL,                  -- whose tip or coverage it waits for
    kind     TEXT NOT NULL CHECK (kind IN ('height', 'covered', 'looked', 'safe', 'confirmed', 'finalized')), -- what passes it: the tip's height, coverage past a time, a look at balances past it, or a mark's height
    position BIGINT NOT NULL,                -- the height, or the time
    UNIQUE (invoice, chain, kind, position)
);
-- Serves the search for what a tip or a time has passed.
CREATE INDEX awaited_by_position ON awaited (chain, kind, position);
-- Serves the search for whose balances are to be looked at, a page at a time.
CREATE INDEX awaited_to_look ON awaited (chain, invoice) WHERE kind IN ('covered', 'looked');

-- What merchants are told. Immutable; numbered per invoice without gaps.
CREATE TABLE events (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- grows with each row
    public_id  TEXT NOT NULL UNIQUE,         -- evt_..; the webhook-id
    merchant   BIGINT NOT NULL REFERENCES merchants (id), -- who is told
    mode       TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- of what it is about
    invoice    BIGINT REFERENCES invoices (id), -- NULL for events of endpoints
    version    BIGINT,                       -- number within the invoice, from 1
    type       TEXT NOT NULL,                -- for example invoice.paid
    body       TEXT NOT NULL,                -- sent byte for byte on every attempt
    created_at BIGINT NOT NULL,              -- when it was said
    xid        BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint), -- transaction that wrote the row
    UNIQUE (invoice, version),
    CHECK ((invoice IS NULL) = (version IS NULL))
);
-- Serves reading a merchant's events in commit order.
CREATE INDEX events_by_merchant ON events (merchant, mode, xid, seq);
-- Events in the order of commits, and only those that no later commit can still precede. A reader
-- goes on after the (commit_order, seq) it has read last. A cursor over seq alone would lose events:
-- seq is given before the commit, so a lower one can appear after a higher one was read.
CREATE VIEW events_visible AS
    SELECT xid AS commit_order, seq, public_id, merchant, mode, invoice, version, type, body, created_at
    FROM events
    WHERE xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- Where a merchant's events are sent.
CREATE TABLE endpoints (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    public_id       TEXT NOT NULL UNIQUE,    -- whe_..
    merchant        BIGINT NOT NULL REFERENCES merchants (id), -- whose endpoint it is
    mode            TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- of the events it gets
    url             TEXT NOT NULL,           -- where to send
    types           TEXT NOT NULL,           -- JSON list of event types; empty for all
    secret          BYTEA NOT NULL,          -- what signs, encrypted under the master key; empty when deleted
    old_secret      BYTEA,                   -- the one before, encrypted; NULL before the first rotation
    old_secret_until BIGINT,                 -- up to when the old one signs too
    is_asymmetric   BIGINT NOT NULL CHECK (is_asymmetric IN (0, 1)), -- whether signatures that need no shared secret are sent too
    state           TEXT NOT NULL CHECK (state IN ('enabled', 'disabled', 'deleted')), -- whether it gets events
    disabled_reason TEXT,                    -- why not
    failing_since   BIGINT,                  -- first failure since the last success
    created_at      BIGINT NOT NULL          -- when it was registered
);
-- Serves the list of a merchant's endpoints and the fan-out of an event.
CREATE INDEX endpoints_by_merchant ON endpoints (merchant, mode, id);

-- One event to one endpoint.
CREATE TABLE deliveries (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key; order within a queue
    public_id     TEXT NOT NULL UNIQUE,      -- dlv_..
    merchant      BIGINT NOT NULL REFERENCES merchants (id), -- of the endpoint
    mode          TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- of the endpoint
    event         BIGINT NOT NULL REFERENCES events (seq), -- what is sent
    endpoint      BIGINT NOT NULL REFERENCES endpoints (id), -- to whom
    invoice       BIGINT REFERENCES invoices (id), -- its queue is (endpoint, invoice); NULL outside of queues
    state         TEXT NOT NULL CHECK (state IN ('due', 'delivered', 'exhausted', 'dropped')), -- where it stands
    attempt_count BIGINT NOT NULL,           -- tries so far
    due_at        BIGINT,                    -- when to try; only heads of queues carry it
    claimed_until BIGINT,                    -- until when a process is at it
    created_at    BIGINT NOT NULL,           -- when the event was said
    finished_at   BIGINT,                    -- when it was delivered or given up
    CHECK (due_at IS NULL OR state = 'due')
);
-- Serves the search for the next time at which something is due.
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
-- Serves the claim of what is due to an endpoint.
CREATE INDEX deliveries_due_by_endpoint ON deliveries (endpoint, due_at) WHERE due_at IS NOT NULL;
-- Serves counting what is under way to an endpoint.
CREATE INDEX deliveries_claimed ON deliveries (endpoint, claimed_until) WHERE claimed_until IS NOT NULL;
-- Serves finding the next of a queue.
CREATE INDEX deliveries_by_queue ON deliveries (endpoint, invoice, id) WHERE state = 'due';
-- Serves the list of an event's deliveries.
CREATE INDEX deliveries_by_event ON deliveries (event);
-- Serves the list of a merchant's deliveries, newest first.
CREATE INDEX deliveries_by_merchant ON deliveries (merchant, mode, id);

-- One HTTP try of a delivery.
CREATE TABLE attempts (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    delivery    BIGINT NOT NULL REFERENCES deliveries (id), -- what was tried
    number      BIGINT NOT NULL,             -- from 1
    started_at  BIGINT NOT NULL,             -- when
    duration_ms BIGINT NOT NULL,             -- how long it took
    status_code BIGINT,                      -- of the answer; NULL without one
    error       TEXT,                        -- what went wrong; NULL on success
    answer      TEXT NOT NULL,               -- first bytes of the answer's body
    UNIQUE (delivery, number)
);

-- What people ask of the worker that follows a chain: resume it, read blocks again, scan for a wallet, attach a
-- transaction to an invoice, check an invoice.
CREATE TABLE requests (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key; the oldest is done first
    public_id     TEXT NOT NULL UNIQUE,      -- req_..
    merchant      BIGINT REFERENCES merchants (id), -- who asked; NULL for what operators ask of a whole chain
    kind          TEXT NOT NULL CHECK (kind IN ('resume', 'rescan', 'wallet_scan', 'attach', 'check')), -- what is to be done
    chain         TEXT NOT NULL,             -- whose worker does it
    body          TEXT NOT NULL,             -- JSON; what belongs to the kind
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'canceled')), -- where it stands
    blocks_done   BIGINT NOT NULL,           -- blocks that were read and applied
    blocks_total  BIGINT,                    -- blocks to be read; NULL before that is known
    result        TEXT,                      -- JSON; what was found so far
    error         TEXT,                      -- why it failed, or what it waits for
    actor         TEXT NOT NULL,             -- who asked, for example key_..
    created_at    BIGINT NOT NULL,           -- when it was asked
    started_at    BIGINT,                    -- when a worker began
    finished_at   BIGINT                     -- when it was done or given up
);
-- Serves the search for what a chain's worker has to do.
CREATE INDEX requests_open ON requests (chain, id) WHERE state IN ('waiting', 'running');

-- What operators and merchants did: the links of a chain for each merchant, and of one for the installation.
-- Append-only; each row is sealed together with the seal of the one before it.
CREATE TABLE audit (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    log        TEXT NOT NULL,                -- mer_.. of the merchant whose it is, or installation
    number     BIGINT NOT NULL,              -- place in its log: 1, 2, 3, without gaps
    created_at BIGINT NOT NULL,              -- when it was done
    actor      TEXT NOT NULL,                -- who did it: key_.. of an API key, or cli
    request_id TEXT NOT NULL,                -- the request that asked for it, as in logs and answers
    action     TEXT NOT NULL,                -- what was done, for example wallet.confirm
    subject    TEXT NOT NULL,                -- the public id of what it was done to, or the chain's name
    before     TEXT,                         -- JSON without secrets: what it was; NULL for something new
    after      TEXT,                         -- JSON without secrets: what it is now; NULL for what is gone
    previous   BYTEA NOT NULL,                -- seal of the row before it in its log
    seal       BYTEA NOT NULL,                -- MAC under the master key over all columns but id
    UNIQUE (log, number)
);

-- The end of each log. Whoever appends holds this row until the commit, so that no two rows follow one.
CREATE TABLE audit_heads (
    log    TEXT PRIMARY KEY,                 -- as in audit
    number BIGINT NOT NULL,                  -- of its last row
    seal   BYTEA NOT NULL                     -- of its last row
);

-- Requests that carried an Idempotency-Key. The row commits with the effect of the request.
CREATE TABLE idempotency (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- internal key
    merchant   BIGINT NOT NULL REFERENCES merchants (id), -- who asked
    mode       TEXT NOT NULL CHECK (mode IN ('live', 'test')), -- of the API key
    path       TEXT NOT NULL,                -- of the request
    key        TEXT NOT NULL,                -- as sent
    body_hash  BYTEA NOT NULL,                -- SHA-256 of the body; another body is refused
    status     BIGINT,                       -- of the answer; NULL while it runs
    answer     BYTEA,                         -- body of the answer, encrypted under the master key
    created_at BIGINT NOT NULL,              -- when it was first sent
    UNIQUE (merchant, mode, path, key)
);
-- What is encrypted cannot be made smaller.
ALTER TABLE idempotency ALTER COLUMN answer SET STORAGE EXTERNAL;
-- Serves the removal of old rows.
CREATE INDEX idempotency_by_time ON idempotency (created_at);

-- What sources said about rates, the last of each, and per pair the last rate that was believed.
CREATE TABLE rates (
    pair    TEXT NOT NULL,                   -- asset and currency, such as btc/USD
    source  TEXT NOT NULL,                   -- name in the configuration; empty for the last rate that was believed
    rate    TEXT,                            -- units of the currency for one of the asset, decimal; NULL when nothing was readable yet
    read_at BIGINT,                          -- when the rate was read; NULL together with it
    problem TEXT,                            -- what was wrong with the last answer; NULL when that was good
    seal    BYTEA,                       -- MAC under the master key over pair, source, rate and read_at; NULL together with the rate
    PRIMARY KEY (pair, source)
);

-- Single values that the program keeps for itself.
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,                  -- name
    value TEXT NOT NULL                      -- whatever belongs to the name
);
