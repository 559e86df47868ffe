//! Many requests at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gyre_model::{Backoff, ModelClient, ModelError, ModelErrorKind, OpenAi, OpenAiConfig};
use gyre_types::ChatCompletion;
use tokio::task::JoinSet;

use crate::server::{Act, Server, completion, http, ok, request};

async fn ask_at_once(
    client: &Arc<OpenAi>,
    count: usize,
) -> Vec<Result<ChatCompletion, ModelError>> {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let client = Arc::clone(client);
        requests.spawn(async move { client.complete(request()).await });
    }
    requests.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_meets_no_storm() {
    let server = Server::always(http(500, "", "")).await;
    let client = Arc::new(server.client(server.config()).await);
    let answers = ask_at_once(&client, 200).await;
    let down = |answer: &Result<ChatCompletion, ModelError>| {
        matches!(answer, Err(ModelError { kind: ModelErrorKind::Down { .. }, .. }))
    };
    assert!(answers.iter().all(Result::is_err));
    assert!(answers.iter().any(down));
    let sent = server.received().len();
    // Without the circuit, 600 requests.
    assert!(sent <= 60, "{sent} requests were sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_answers_all_that_waited() {
    let server = Server::start(|number, _| {
        Act::Send(if number < 12 { http(503, "", "") } else { ok(&completion("hi")) })
    })
    .await;
    let config = OpenAiConfig { retries_max: 20, ..server.config() };
    let client = Arc::new(server.client(config).await);
    let answers = ask_at_once(&client, 100).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(client.spent().usage.completion, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_most_requests_answers_all_in_the_end() {
    let answered = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&answered);
    let server = Server::start(move |number, _| {
        // Two of three requests are refused, until sixty have arrived.
        let refuses = number % 3 != 0 && number < 60;
        if refuses {
            return Act::Send(http(429, "retry-after-ms: 1\r\n", ""));
        }
        counts.fetch_add(1, Ordering::Relaxed);
        Act::Send(ok(&completion("hi")))
    })
    .await;
    let backoff = Backoff { min_ms: 1, max_ms: 4, retry_after_max_ms: 1_000 };
    let config = OpenAiConfig { retries_max: 40, backoff, in_flight_max: 32, ..server.config() };
    let client = Arc::new(server.client(config).await);
    let answers = ask_at_once(&client, 100).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(answered.load(Ordering::Relaxed), 100, "no answer was asked for twice");
    assert_eq!(client.spent().requests as usize, server.received().len());
}

#[tokio::test]
async fn a_request_that_is_dropped_gives_its_place_back() {
    let server = Server::start(|number, _| {
        if number == 0 { Act::Hang(vec![]) } else { Act::Send(ok(&completion("hi"))) }
    })
    .await;
    let config = OpenAiConfig { in_flight_max: 1, ..server.config() };
    let client = Arc::new(server.client(config).await);
    let hanging = {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.complete(request()).await })
    };
    while server.received().is_empty() {
        tokio::task::yield_now().await;
    }
    hanging.abort();
    client.complete(request()).await.expect("the place is free");
}
