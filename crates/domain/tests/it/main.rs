//! The rules as tables and properties.

mod fold;
mod news;
mod status;
