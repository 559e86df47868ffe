//! Takes in connections, and bounds what each may cost.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
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
use tokio::task::JoinSet;

use crate::limits::ServerLimits;
use crate::seat::{Seat, Seats};
use crate::shutdown::Shutdown;
use crate::steady::Steady;

/// How long the service waits before it takes in connections again, where the
/// system had no room for one.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

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
        () = seat.given_up() => return,
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
        self.seat.rest();
    }
}
