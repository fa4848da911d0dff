//! Facts in SQLite or Postgres behind one SQL text
