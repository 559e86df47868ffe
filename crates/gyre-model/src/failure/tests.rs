use expect_test::{Expect, expect};

use super::*;

fn head(status: u16) -> Head {
    Head { status, ..Head::default() }
}

fn error(status: u16, body: &str) -> ModelErrorKind {
    let secret = Secret::new("sk-hidden");
    let key = KeyUsed { key: Some(&secret), env: Some("MODEL_KEY") };
    read(&head(status), body.as_bytes(), key).expect_err("no good answer")
}

fn check(status: u16, body: &str, expected: Expect) {
    let error = error(status, body);
    let retry = error.retry().is_some();
    expected.assert_eq(&format!("{error}\nbilled {:?}, retry {retry}", error.billed()));
}

#[test]
fn each_status_has_one_message() {
    check(
        500,
        "",
        expect![[r#"
        the server answered 500
        billed Unknown, retry true"#]],
    );
    check(
        400,
        r#"{"error": {"message": "bad\nrequest"}}"#,
        expect![[r#"
        the server answered 400: "bad request"
        billed No, retry false"#]],
    );
    check(
        404,
        r#"{"detail": "Not Found"}"#,
        expect![[r#"
        the server answered 404: "Not Found"
        billed No, retry false"#]],
    );
    check(
        502,
        "<html>Bad gateway</html>",
        expect![[r#"
        the server answered 502: "<html>Bad gateway</html>"
        billed Unknown, retry true"#]],
    );
    check(
        401,
        r#"{"error": {"message": "wrong key sk-hidden"}}"#,
        expect![[r#"
        the server refused the key (status 401); put a valid key in the environment variable MODEL_KEY
        billed No, retry false"#]],
    );
    check(
        429,
        r#"{"error": {"message": "slow down, sk-hidden"}}"#,
        expect![[r#"
        the server limits the rate of requests: "slow down, [key]"; lower `in_flight_max`, or raise the quota
        billed No, retry true"#]],
    );
    check(
        429,
        r#"{"error": {"message": "pay", "code": "insufficient_quota"}}"#,
        expect![[r#"
            the account's quota is used up: "pay"; raise it at the provider
            billed No, retry false"#]],
    );
    check(
        307,
        "",
        expect![[r#"
        the server redirects to nowhere (status 307); set `url` to where the server is
        billed No, retry false"#]],
    );
}

#[test]
fn a_prompt_that_is_too_long_is_told_from_other_bad_requests() {
    for (status, body, context) in [
        (
            400,
            r#"{"error":{"code":400,"message":"request (3031 tokens) exceeds the available context size (1024 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":3031,"n_ctx":1024}}"#,
            Some(1024),
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 16384 tokens. However, you requested 19591 tokens","code":400}"#,
            Some(16384),
        ),
        (
            400,
            r#"{"object":"error","message":"The input (61709 tokens) is longer than the model's context length (40960 tokens).","code":400}"#,
            Some(40960),
        ),
        (400, r#"{"error":{"message":"too much","code":"context_length_exceeded"}}"#, None),
        (400, r#"{"message":"max_tokens must be at least 1, got -186."}"#, None),
        (413, "", None),
        (
            200,
            r#"{"error":{"message":"exceeds the available context size (512 tokens)"}}"#,
            Some(512),
        ),
    ] {
        let error = error(status, body);
        let ModelErrorKind::PromptTooLong { context: found, .. } = error else {
            panic!("{body}: {error:?}");
        };
        assert_eq!(found, context, "{body}");
    }
}

#[test]
fn a_good_status_does_not_make_a_good_body() {
    check(
        200,
        "",
        expect![[r#"
        the answer cannot be read: it is empty; look at the server's log
        billed Unknown, retry true"#]],
    );
    check(
        200,
        r#"{"choices": [{"mess"#,
        expect![[r#"
        the answer cannot be read: its JSON is cut off after 19 bytes; look at the server's log
        billed Unknown, retry true"#]],
    );
    check(
        200,
        "data: {}\n\ndata: [DONE]\n",
        expect![[r#"
        the answer cannot be read: it is a stream of events, and `stream` was false; configure the server or the proxy before it to answer in one piece
        billed Unknown, retry false"#]],
    );
    check(
        200,
        "<!doctype html>",
        expect![[r#"
        the answer cannot be read: it is a web page; is `url` the base address of the API, such as http://HOST:PORT/v1?
        billed Unknown, retry false"#]],
    );
    check(
        200,
        r#"{"error": {"message": "CUDA out of memory"}}"#,
        expect![[r#"
        the server answered 200 with an error in the body: "CUDA out of memory"
        billed Unknown, retry true"#]],
    );
    check(
        200,
        r#"{"error": "overloaded"}"#,
        expect![[r#"
        the server answered 200 with an error in the body: "overloaded"
        billed Unknown, retry true"#]],
    );
    check(
        200,
        r#"{"error": {"message": "later", "code": 429}}"#,
        expect![[r#"
        the server limits the rate of requests: "later"; lower `in_flight_max`, or raise the quota
        billed No, retry true"#]],
    );
    let broken = read(&head(200), b"{\"a\": \"\xff\"}", KeyUsed::default()).expect_err("not UTF-8");
    let message = "the answer cannot be read: it is not UTF-8 at byte 7; look at the server's log";
    assert_eq!(broken.to_string(), message);
}

#[test]
fn a_completion_with_an_empty_error_is_a_completion() {
    for body in [r#"{"choices": [], "error": null}"#, r#"{"choices": [], "error": {}}"#, "{}"] {
        read(&head(200), body.as_bytes(), KeyUsed::default()).expect("good JSON");
    }
}

#[test]
fn a_servers_words_are_bounded() {
    let body = format!(r#"{{"error": {{"message": "{}"}}}}"#, "é".repeat(100_000));
    assert!(error(500, &body).to_string().chars().count() < 400);
    assert!(error(500, &"x".repeat(100_000)).to_string().len() < 400);
}
