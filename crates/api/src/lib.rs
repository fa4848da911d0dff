//! The HTTP API of merchants and operators
