//! Each way in which a server fails has one message, and says whether it was billed
//! and whether to try again.

use expect_test::{Expect, expect};
use gyre_model::{ModelClient, ModelError, OpenAi, OpenAiConfig, Timeouts};
use tokio::net::TcpListener;

use crate::server::{Act, Server, completion, http, key, ok, request};

fn check(error: &ModelError, expected: Expect) {
    check_with(error, &expected);
}

fn check_with(error: &ModelError, expected: &Expect) {
    let retry = error.retry().is_some();
    expected.assert_eq(&format!("{error}\nbilled {:?}, retry {retry}", error.billed()));
}

/// No further attempts.
fn once(server: &Server) -> OpenAiConfig {
    OpenAiConfig { retries_max: 0, ..server.config() }
}

/// Times that a server which hangs uses up.
fn hurried(server: &Server) -> OpenAiConfig {
    let timeouts = Timeouts { connect_ms: 100, first_byte_ms: 100, request_ms: 200 };
    OpenAiConfig { timeouts, ..once(server) }
}

#[tokio::test]
async fn a_server_that_hangs_at_any_stage_is_given_up() {
    let whole = ok(&completion("hi"));
    let half_head = whole[..30].to_vec();
    let half_body = whole[..whole.len() - 5].to_vec();
    let endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    let begins = expect![[r#"
        server: no answer began within 100 ms; raise `timeouts.first_byte_ms`, or lower `in_flight_max` or `tokens_max`
        billed Unknown, retry true"#]];
    let ends = expect![[r#"
        server: the answer was not complete within 200 ms; raise `timeouts.request_ms`, or lower `in_flight_max` or `tokens_max`
        billed Unknown, retry true"#]];
    for sent in [vec![], half_head] {
        let server = Server::start(move |_, _| Act::Hang(sent.clone())).await;
        check_with(&server.failure(hurried(&server)).await, &begins);
    }
    let server = Server::start(move |_, _| Act::Hang(half_body.clone())).await;
    check_with(&server.failure(hurried(&server)).await, &ends);
    let server = Server::start(move |_, _| Act::Drip(endless.clone())).await;
    check_with(&server.failure(hurried(&server)).await, &ends);
    let server = Server::start(move |_, _| Act::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec())).await;
    check_with(&server.failure(hurried(&server)).await, &begins);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_breaks_off() {
    let server = Server::start(|_, _| Act::Send(vec![])).await;
    check(
        &server.failure(once(&server)).await,
        expect![[r#"
            server: the connection broke before the answer was complete (connection closed before message completed); look at the server's log
            billed Unknown, retry true"#]],
    );
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\"".to_vec();
    let server = Server::always(short).await;
    check(
        &server.failure(once(&server)).await,
        expect![[r#"
            server: the connection broke before the answer was complete (end of file before message length reached); look at the server's log
            billed Unknown, retry true"#]],
    );
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = port.local_addr().expect("bound");
    drop(port);
    let config = OpenAiConfig { url: format!("http://{address}/v1"), ..once(&server) };
    let error = server.client(config).await.complete(request()).await.expect_err("nobody listens");
    let error = ModelError { origin: "server".to_owned(), ..error };
    check(
        &error,
        expect![[r#"
            server: cannot be reached (Connection refused (os error 111)); start the server, or correct `url`
            billed No, retry true"#]],
    );
}

#[tokio::test]
async fn a_body_that_is_no_completion_says_what_it_is() {
    for (body, expected) in [
        (
            b"{\"choices\": [{\"mess".to_vec(),
            expect![[r#"
                server: the answer cannot be read: its JSON is cut off after 19 bytes; look at the server's log
                billed Unknown, retry true"#]],
        ),
        (
            b"{\"choices\": \"\xff\xfe\"}".to_vec(),
            expect![[r#"
                server: the answer cannot be read: it is not UTF-8 at byte 13; look at the server's log
                billed Unknown, retry true"#]],
        ),
        (
            b"{\"error\": {\"message\": \"CUDA out of memory\"}}".to_vec(),
            expect![[r#"
                server: the server answered 200 with an error in the body: "CUDA out of memory"
                billed Unknown, retry true"#]],
        ),
        (
            b"{\"status\": \"ok\"}".to_vec(),
            expect![[r#"
                server: the answer cannot be read: it is JSON and holds no `choices[0].message`; is `url` the base address of an OpenAI-compatible server?
                billed Unknown, retry false"#]],
        ),
        (
            [vec![b'['; 100_000], vec![b']'; 100_000]].concat(),
            expect![[r#"
                server: the answer cannot be read: it is not JSON (recursion limit exceeded at line 1 column 128); look at the server's log
                billed Unknown, retry true"#]],
        ),
    ] {
        let server = Server::always(http(200, "", body)).await;
        check(&server.failure(once(&server)).await, expected);
    }
}

#[tokio::test]
async fn a_body_of_200_megabytes_is_not_read() {
    const SIZE: u64 = 200 << 20;
    let expected = expect![[r#"
        server: the answer is longer than 1048576 bytes; raise `body_bytes_max` if it is meant to be
        billed Yes, retry false"#]];
    let told = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n");
    let untold = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned();
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{SIZE:x}\r\n");
    for head in [told, untold, chunked] {
        let server = Server::start(move |_, _| Act::Flood(head.clone().into_bytes(), SIZE)).await;
        let config = OpenAiConfig { body_bytes_max: 1 << 20, ..server.config() };
        check_with(&server.failure(config).await, &expected);
        assert_eq!(server.received().len(), 1, "a billed answer is not asked for again");
        // What the sockets' buffers took comes on top of what was read.
        assert!(server.sent() < 32 << 20, "{} bytes were taken", server.sent());
    }
}

#[tokio::test]
async fn errors_that_pass_are_tried_again_and_the_others_are_not() {
    for (status, requests) in [(500, 3), (502, 3), (503, 3), (429, 3), (400, 1), (404, 1), (501, 1)]
    {
        let server = Server::always(http(status, "", "")).await;
        let error = server.failure(server.config()).await;
        assert_eq!(server.received().len(), requests, "{status}");
        assert_eq!(error.attempts as usize, requests, "{status}");
    }
    let server = Server::always(http(500, "", r#"{"error": "busy"}"#)).await;
    check(
        &server.failure(server.config()).await,
        expect![[r#"
            server: the server answered 500: "busy" (after 3 attempts)
            billed Unknown, retry true"#]],
    );
    let server = Server::start(|number, _| {
        Act::Send(if number < 2 { http(500, "", "") } else { ok(&completion("hi")) })
    })
    .await;
    let completion = server.ask(server.config()).await.expect("the third attempt");
    assert_eq!(completion.message.content, "hi");
    let bodies: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies[0], bodies[2], "a retry asks the same");
}

#[tokio::test]
async fn a_storm_of_429_is_waited_out_as_the_server_asks() {
    let past = "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let clock =
        "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for header in ["", "retry-after: 0\r\n", "retry-after-ms: 1\r\n", past, clock] {
        let server = Server::start(move |number, _| {
            Act::Send(if number < 2 { http(429, header, "") } else { ok(&completion("hi")) })
        })
        .await;
        server.ask(server.config()).await.expect("the third attempt");
        assert_eq!(server.received().len(), 3, "{header}");
    }
    let server = Server::always(http(429, "retry-after: 3600\r\n", "")).await;
    let error = server.failure(server.config()).await;
    assert_eq!(server.received().len(), 1, "an hour is more than may be asked for");
    assert_eq!(error.retry().map(|wait| wait.as_secs()), Some(3600));
    check(
        &error,
        expect![[r#"
            server: the server limits the rate of requests; lower `in_flight_max`, or raise the quota
            billed No, retry true"#]],
    );
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_the_tasks_matter() {
    let body = r#"{"error":{"code":400,"message":"request (3031 tokens) exceeds the available context size (1024 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":3031,"n_ctx":1024}}"#;
    let server = Server::always(http(400, "", body)).await;
    check(
        &server.failure(server.config()).await,
        expect![[r#"
            server: the prompt is too long for the model: "request (3031 tokens) exceeds the available context size (1024 tokens), try increasing it"; shorten the task's prompt or its observations, lower `tokens_max`, or serve the model with a longer context
            billed No, retry false"#]],
    );
}

#[tokio::test]
async fn a_model_that_changes_under_way_ends_the_round() {
    let server = Server::start(|number, _| {
        let mut body = completion("hi");
        body["model"] = format!("model-{}", number / 2).into();
        Act::Send(ok(&body))
    })
    .await;
    let client = server.client(server.config()).await;
    for _ in 0..2 {
        client.complete(request()).await.expect("the same model");
    }
    let error = client.complete(request()).await.expect_err("another model");
    check(
        &server.named(error),
        expect![[r#"
            server: the server now answers as "model-1" and answered as "model-0" before; serve one model for a whole round
            billed Yes, retry false"#]],
    );
    assert_eq!(client.spent().usage.completion, 12, "what was billed is counted");
}

#[tokio::test]
async fn the_key_reaches_its_own_origin_and_no_message() {
    let keyed = |server: &Server| OpenAiConfig {
        api_key_env: Some("MODEL_KEY".to_owned()),
        ..server.config()
    };
    let elsewhere = Server::always(ok(&completion("stolen"))).await;
    let target = format!("location: {}/v1/chat/completions\r\n", elsewhere.origin);
    for status in [301, 302, 307, 308] {
        let server = Server::always(http(status, &target, "")).await;
        let client = OpenAi::connect(keyed(&server), key()).await.expect("a usable configuration");
        let error = client.complete(request()).await.expect_err("a redirect");
        assert!(error.to_string().contains(&format!("redirects to {}", elsewhere.origin)));
        assert!(server.received()[0].head.contains("authorization: bearer sk-hidden"));
        assert!(!format!("{error:?} {client:?}").contains("sk-hidden"));
    }
    assert!(elsewhere.received().is_empty());
    let server = Server::always(http(401, "", r#"{"error": "wrong key: sk-hidden"}"#)).await;
    let client = OpenAi::connect(keyed(&server), key()).await.expect("a usable configuration");
    let error = client.complete(request()).await.expect_err("a refused key");
    check(
        &server.named(error),
        expect![[r#"
            server: the server refused the key (status 401); put a valid key in the environment variable MODEL_KEY
            billed No, retry false"#]],
    );
    let error = OpenAi::connect(keyed(&server), None).await.expect_err("no key");
    check(
        &server.named(error),
        expect![[r#"
            server: the environment variable MODEL_KEY is not set; put the key in it
            billed No, retry false"#]],
    );
}
