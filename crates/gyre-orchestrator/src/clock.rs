/// Milliseconds since 1970, as the binary reads them.
pub type Clock = fn() -> i64;
