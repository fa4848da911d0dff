//! Real nodes, a private Postgres and a webhook receiver for tests
