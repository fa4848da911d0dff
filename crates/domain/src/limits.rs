//! Limits on everything that comes from outside, in one place.

/// Characters of a decimal amount: 78 digits of 2^256, a point, and one to tell "too long" apart.
pub const AMOUNT_CHARS_MAX: usize = 96;
/// Bytes of a request body.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an invoice's metadata as JSON.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;
/// Addresses of one file of a pool; as text with its JSON they fit into a request body.
pub const POOL_ADDRESSES_MAX: usize = 5_000;
/// Characters of such a file.
pub const POOL_CHARS_MAX: usize = 240_000;
/// Payment options of one invoice.
pub const OPTIONS_MAX: usize = 16;
/// Characters of an order id, a label and similar short texts.
pub const TEXT_CHARS_MAX: usize = 255;
/// Characters of a note.
pub const NOTE_CHARS_MAX: usize = 2000;
/// Notes of one invoice, and fulfilments of one.
pub const RECORDS_MAX: u32 = 100;
/// Characters of a URL.
pub const URL_CHARS_MAX: usize = 2048;
/// Characters of an extended key or output descriptor; 20 keys with their origins fit.
pub const KEY_CHARS_MAX: usize = 4096;
/// Longest time from creation to expiry, in seconds: 90 days.
pub const EXPIRES_IN_S_MAX: u64 = 90 * 24 * 3600;
/// Longest late window, in seconds: 365 days.
pub const LATE_WINDOW_S_MAX: u64 = 365 * 24 * 3600;
/// Deepest depth a policy may ask for, in blocks.
pub const DEPTH_MAX: u32 = 1000;
/// Digits after the point with which amounts of unknown currencies are read; no asset has more.
pub const PRICE_DECIMALS_ANY: u8 = 36;
/// Characters of the value of a rate.
pub const RATE_CHARS_MAX: usize = 64;
/// Digits before the point of a rate; a bitcoin costs ten of them in the smallest currency.
pub const RATE_DIGITS_MAX: u8 = 18;
/// Bytes of one answer of a source of rates.
pub const RATE_ANSWER_BYTES_MAX: usize = 512 * 1024;
/// Sources of rates in one configuration.
pub const RATE_SOURCES_MAX: usize = 32;
/// Pairs of an asset and a currency of one source.
pub const RATE_PAIRS_MAX: usize = 64;
/// Alternatives of one finality.
pub const FINALITY_ALTERNATIVES_MAX: usize = 8;
/// The shortest time for which an unconfirmed payment must be seen before it may count, in seconds: two
/// payments that spend the same and are sent at once cross the network within a few seconds.
pub const SEEN_S_MIN: u32 = 1;
/// The longest, in seconds: a day.
pub const SEEN_S_MAX: u32 = 24 * 3600;
/// The time when a policy names none, in seconds.
pub const SEEN_S_DEFAULT: u32 = 30;
/// Tiers of a policy.
pub const POLICY_TIERS_MAX: usize = 20;
/// Rows of one page of a list.
pub const PAGE_ROWS_MAX: u32 = 100;
/// Rows of one page when the caller names no limit.
pub const PAGE_ROWS_DEFAULT: u32 = 20;
/// Characters of an idempotency key.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// How long a stored answer of an idempotent request is kept, in milliseconds: 24 hours.
pub const IDEMPOTENCY_KEPT_MS: i64 = 24 * 3600 * 1000;
/// Webhook endpoints of one merchant and mode.
pub const ENDPOINTS_MAX: usize = 16;
/// Blocks that one chain event carries while catching up.
pub const CHAIN_EVENT_BLOCKS_MAX: usize = 64;
/// Bytes of raw blocks that one chain event covers while catching up.
pub const CHAIN_EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Milliseconds of scanning after which a chain event is applied while catching up.
pub const CHAIN_EVENT_MS_MAX: i64 = 100;
/// Blocks fetched ahead of the one being scanned.
pub const PREFETCH_BLOCKS_MAX: usize = 16;
/// Blocks fetched ahead for a request to a chain's worker, beside those of following.
pub const REQUEST_PREFETCH_BLOCKS_MAX: usize = 4;
/// Indexes beyond the highest used one at which a scan of a wallet looks.
pub const SCAN_GAP: u32 = 1_000;
/// Blocks below the last one whose headers are all kept while what the chain calls final is further down: as many
/// as Arbitrum makes in three hours, which is ten times what its finality takes.
pub const HEADERS_KEPT_MAX: u64 = 50_000;
/// Bytes of one block that a node may answer with.
pub const BLOCK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one JSON answer of a node.
pub const NODE_ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of a webhook receiver's answer that are kept.
pub const ANSWER_BYTES_KEPT: usize = 1024;
/// How long the secret before a rotation signs too, unless the merchant says otherwise, in seconds: a day.
pub const SECRET_OVERLAP_S: u64 = 24 * 3600;
/// The longest that it may, in seconds: 30 days.
pub const SECRET_OVERLAP_S_MAX: u64 = 30 * 24 * 3600;
/// How long an API key before a rotation is good too, unless somebody says otherwise, in seconds: a day.
pub const API_KEY_OVERLAP_S: u64 = 24 * 3600;
/// The longest that it may, in seconds: 30 days.
pub const API_KEY_OVERLAP_S_MAX: u64 = 30 * 24 * 3600;
/// Scopes of an API key, and networks.
pub const API_KEY_ITEMS_MAX: usize = 64;
/// Events that one request to send events again looks at.
pub const REPLAYED_MAX: u32 = 1_000;
/// Deliveries claimed in one step.
pub const DELIVERIES_CLAIMED_MAX: u32 = 64;
/// Deliveries under way to one endpoint at a time.
pub const ENDPOINT_SENDS_MAX: u32 = 32;
/// The same while its last attempt failed.
pub const FAILING_SENDS_MAX: u32 = 4;
/// Transfers of one invoice that stand or were ever final, dust apart; above this the invoice is
/// quarantined. Whoever wants that has to give the merchant so many payments.
pub const INVOICE_TRANSFERS_MAX: usize = 10_000;
/// Transfers of one invoice that stand nowhere and were never final which a fold reads, the newest of them:
/// what a stranger has replaced or let drop out of a mempool is no reason to block an invoice.
pub const INVOICE_GONE_MAX: u32 = 100;
/// Transfers of one invoice below the dust limit which a fold reads, the first of them; what comes beyond is
/// stored and does not count.
pub const INVOICE_DUST_MAX: usize = 1_000;
/// Transfers of other assets than its options' that are kept of one invoice, those of tokens that are not
/// configured apart. What is more is not kept: somebody sends it to be a nuisance.
pub const INVOICE_STRAYS_MAX: usize = 200;
/// The same of tokens that are not configured, which anybody can make for nothing. Each is an exception, and
/// each exception an event with the whole invoice.
pub const INVOICE_UNLISTED_MAX: usize = 16;
/// Characters of a contract's or mint's text form.
pub const CONTRACT_CHARS_MAX: usize = 128;
/// Transactions that an exception names.
pub const EXCEPTION_TRANSACTIONS_MAX: usize = 20;
/// An unread chain after expiry is named in `waiting_for` from this age on, in milliseconds.
pub const WAITING_FOR_AFTER_MS: i64 = 3600 * 1000;
/// How far ahead of the clock a time may be that a clock has shown, in milliseconds: clocks of two machines
/// differ a little. What is further ahead was shown by a clock that has been put back since.
pub const CLOCK_AHEAD_MS_MAX: i64 = 60 * 1000;
/// Money that came in time and is not final so long after expiry is an exception, in milliseconds: 6
/// hours. A person looks then, for example to have the fee raised.
pub const STUCK_AFTER_MS: i64 = 6 * 3600 * 1000;
/// How long a payment that a node forgot when it restarted still counts as seen, in milliseconds: 36
/// hours, the longest that a sender's wallet waits before it sends an unconfirmed transaction again
/// (Bitcoin Core, `CWallet::ResubmitWalletTransactions`).
pub const FORGOTTEN_KEPT_MS: i64 = 36 * 3600 * 1000;
/// Milliseconds between two polls from which on nobody looked in between, at the least; half of
/// [`SEEN_S_DEFAULT`]. Coverage is written every few seconds, so less is no gap.
pub const GAP_MS_MIN: i64 = 15_000;
/// The same as a multiple of the time from poll to poll.
pub const GAP_POLLS_MIN: i64 = 3;
/// How old a gap in the coverage of a chain may be to matter, in milliseconds: 30 days. An unconfirmed
/// payment is gone by then or in a block: a mempool keeps it for 14 days (Bitcoin Core, `-mempoolexpiry`).
pub const GAPS_KNOWN_MS: i64 = 30 * 24 * 3600 * 1000;
/// Events of one invoice that the mempool alone causes in [`POOL_NEWS_MS`]; what is more waits for the end
/// of that time, for a block, or for anything else that is told.
pub const POOL_NEWS_MAX: u32 = 10;
/// Milliseconds in which events that the mempool alone causes are counted.
pub const POOL_NEWS_MS: i64 = 10 * 60 * 1000;

const _: () = {
    assert!(METADATA_BYTES_MAX < BODY_BYTES_MAX);
    // An address has at most 44 characters, and its line feed two in JSON.
    assert!(POOL_ADDRESSES_MAX * 46 < POOL_CHARS_MAX);
    assert!(POOL_CHARS_MAX < BODY_BYTES_MAX);
    assert!(PREFETCH_BLOCKS_MAX <= CHAIN_EVENT_BLOCKS_MAX);
    assert!(PAGE_ROWS_DEFAULT <= PAGE_ROWS_MAX);
    assert!(INVOICE_DUST_MAX < INVOICE_TRANSFERS_MAX);
    assert!(ENDPOINT_SENDS_MAX <= DELIVERIES_CLAIMED_MAX);
    assert!(FAILING_SENDS_MAX <= ENDPOINT_SENDS_MAX);
};
