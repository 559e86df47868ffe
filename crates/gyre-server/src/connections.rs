//! Takes in connections, and bounds what each may cost.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::limits::ServerLimits;
use crate::shutdown::Shutdown;
use crate::steady::Steady;

/// How long the service waits before it takes in connections again, where the
/// system had no room for one.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A connection's place among those that are open.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// A request is being answered.
    serving: AtomicBool,
    /// The other end does not take what is written.
    stalled: AtomicBool,
    /// Somebody else needs the place.
    gone: Notify,
}

impl Seat {
    /// Says that a whole request is there, and is being answered from here on.
    pub(crate) fn serve(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        !self.serving.load(Ordering::Relaxed)
    }
}

/// The open connections by age.
#[derive(Default)]
struct Seats {
    taken: Mutex<(u64, BTreeMap<u64, Arc<Seat>>)>,
}

impl Seats {
    /// Gives a new connection a place: a free one, or that of the oldest which is
    /// between requests, or else of the oldest whose other end does not read.
    /// None where every place is at work.
    fn take(&self, most: usize) -> Option<(u64, Arc<Seat>)> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, seats) = &mut *taken;
        if seats.len() >= most {
            let stalled = |seat: &Seat| seat.stalled.load(Ordering::Relaxed);
            let idle = seats.iter().find(|(_, seat)| seat.is_idle());
            let given_up = idle.or_else(|| seats.iter().find(|(_, seat)| stalled(seat)));
            let number = *given_up?.0;
            if let Some(seat) = seats.remove(&number) {
                seat.gone.notify_one();
            }
        }
        let seat = Arc::<Seat>::default();
        *next += 1;
        seats.insert(*next, seat.clone());
        Some((*next, seat))
    }

    fn leave(&self, number: u64) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
    }
}

/// Answers until the shutdown starts; ends when every connection has.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    shutdown: Shutdown,
) {
    let seats = Arc::<Seats>::default();
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = tasks.join_next(), if !tasks.is_empty() => continue,
            () = shutdown.started() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // One that went away at once costs nothing; no room left passes.
                tracing::debug!(%error, "a connection was not taken in");
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
        };
        let Some((number, seat)) = seats.take(limits.connections_max) else {
            tracing::warn!("every connection is at work: a new one was closed");
            continue;
        };
        let (router, seats, shutdown) = (router.clone(), seats.clone(), shutdown.clone());
        tasks.spawn(async move {
            connection(stream, router, &seat, limits, &shutdown).await;
            seats.leave(number);
        });
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// One connection, until either end has enough of it.
async fn connection(
    stream: TcpStream,
    router: Router,
    seat: &Arc<Seat>,
    limits: ServerLimits,
    shutdown: &Shutdown,
) {
    let io = TokioIo::new(Steady::new(stream, seat.clone(), limits.stall_max));
    let answer = service_fn(|request: hyper::Request<Incoming>| {
        let (router, seat) = (router.clone(), seat.clone());
        async move {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(seat.clone());
            let response = call(router, request).await;
            Ok::<_, Infallible>(response.map(|body| Answering { body, seat }))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_max);
    let mut served = pin!(builder.serve_connection(io, answer));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = seat.gone.notified() => return,
        () = shutdown.started() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn call(mut router: Router, request: Request) -> Response<Body> {
    use tower_service::Service as _;
    let Ok(response) = router.call(request).await;
    response
}

/// An answer on its way. Once all of it is handed over, its connection is
/// between requests again.
struct Answering {
    body: Body,
    seat: Arc<Seat>,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.seat.serving.store(false, Ordering::Relaxed);
    }
}
