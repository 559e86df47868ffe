use std::time::Duration;

/// Bytes of a request's body: forms of a few fields are all there is.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 10;

/// What the service bears of its callers, whoever they are: a caller is counted
/// before any token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Open connections. Where one more comes, the oldest that is between
    /// requests, or that does not read its answer, is closed for it.
    pub connections_max: usize,
    /// Downloads of shards and rows at once; beyond, callers are told to come
    /// again later.
    pub exports_max: usize,
    /// Requests that wait for their turn to read; beyond, callers are told to
    /// come again later.
    pub waiting_max: usize,
    /// How long a request's head may take from the moment that the service waits
    /// for it. Ends idle connections too.
    pub head_max: Duration,
    /// How long a request's whole body may take.
    pub body_max: Duration,
    /// How long a caller may leave an answer unread: within this time it must
    /// take [`ServerLimits::STALL_BYTES`] of what waits for it.
    pub stall_max: Duration,
}

impl ServerLimits {
    /// What a caller must take of an answer within [`ServerLimits::stall_max`].
    pub const STALL_BYTES: usize = 64 << 10;
}

impl Default for ServerLimits {
    /// 512 connections, 8 exports, 64 waiting requests; 10 s for a head and for a
    /// body, 30 s for a stalled reader.
    fn default() -> Self {
        Self {
            connections_max: 512,
            exports_max: 8,
            waiting_max: 64,
            head_max: Duration::from_secs(10),
            body_max: Duration::from_secs(10),
            stall_max: Duration::from_secs(30),
        }
    }
}
