//! A connection whose other end must take what is written to it.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::limits::ServerLimits;
use crate::seat::Seat;

/// Fails a write that waits for too long, or that is drained too slowly.
pub(crate) struct Steady {
    stream: TcpStream,
    seat: Arc<Seat>,
    stall_max: Duration,
    /// Runs from the first write that had to wait.
    stalled: Option<Stall>,
}

struct Stall {
    ends: Pin<Box<Sleep>>,
    /// Taken by the other end since.
    taken: usize,
}

impl Steady {
    pub(crate) fn new(stream: TcpStream, seat: Arc<Seat>, stall_max: Duration) -> Self {
        Self { stream, seat, stall_max, stalled: None }
    }

    /// Follows a write: what came of it, or that it waited for too long.
    fn follow(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Pending => {
                let stall = self.stalled.get_or_insert_with(|| Stall {
                    ends: Box::pin(sleep(self.stall_max)),
                    taken: 0,
                });
                self.seat.set_stalled(true);
                ready!(stall.ends.as_mut().poll(context));
                let why = "the caller does not read its answer";
                Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, why)))
            }
            Poll::Ready(Ok(count)) => {
                self.seat.set_stalled(false);
                if let Some(stall) = &mut self.stalled {
                    stall.taken += count;
                    let over = stall.ends.deadline() <= Instant::now();
                    if stall.taken >= ServerLimits::STALL_BYTES || over {
                        self.stalled = None;
                    }
                }
                Poll::Ready(Ok(count))
            }
            failed => failed,
        }
    }
}

impl AsyncRead for Steady {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Steady {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.follow(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.follow(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
