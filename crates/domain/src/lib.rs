//! Words and rules of paywatch: pure, without IO, SQL or serde
