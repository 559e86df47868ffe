use gyre_model::{ModelClient, Recorded, RecordedCompletion, request_digest};
use gyre_types::Seed;

use crate::server::{Server, completion, ok, request};

#[tokio::test]
async fn a_recording_answers_what_was_asked_and_nothing_else() {
    let server = Server::always(ok(&completion("hi"))).await;
    let client = server.client(server.config()).await;
    let answered = client.complete(request()).await.expect("a completion");
    let recorded = RecordedCompletion {
        request: Some(request_digest(&request())),
        completion: answered.clone(),
    };
    let stored = serde_json::to_string(&recorded).expect("JSON");
    let recorded: RecordedCompletion = serde_json::from_str(&stored).expect("what was written");

    let replay = Recorded::new(client.identity(), vec![recorded.clone()]);
    assert_eq!(replay.identity(), client.identity());
    assert_eq!(replay.complete(request()).await, Ok(answered));
    let error = replay.complete(request()).await.expect_err("one too many");
    assert_eq!(
        error.to_string(),
        "recording: turn 1 is asked for, and the recording holds 1; it was cut off, or the episode \
         goes on where it ended before"
    );

    let replay = Recorded::new(client.identity(), vec![recorded]);
    let other = gyre_types::ChatRequest { seed: Seed(2), ..request() };
    let error = replay.complete(other).await.expect_err("another request");
    assert!(error.to_string().starts_with("recording: the request of turn 0 has the digest "));
    assert_eq!(error.retry(), None);
}
