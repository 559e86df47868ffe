//! Ten recorded conversations: what is sent of each, byte for byte. `cargo xtask real`
//! sends the same ones to real servers.

use expect_test::expect_file;
use gyre_model::ModelClient;
use gyre_types::ChatRequest;
use serde::Deserialize;

use crate::server::{Server, completion, ok};

#[derive(Deserialize)]
struct Conversation {
    request: ChatRequest,
}

#[tokio::test]
async fn recorded_conversations_are_sent_as_they_always_were() {
    let recorded = include_str!("../conversations/recorded.json");
    let conversations: Vec<Conversation> = serde_json::from_str(recorded).expect("conversations");
    let server = Server::always(ok(&completion("hi"))).await;
    let client = server.client(server.config()).await;
    for conversation in conversations {
        client.complete(conversation.request).await.expect("a completion");
    }
    let mut bodies: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
    for body in &mut bodies {
        // Each server has a name of its own for its model.
        body.as_object_mut().and_then(|body| body.remove("model")).expect("a model's name");
    }
    assert_eq!(bodies.len(), 10);
    let sent = serde_json::to_string_pretty(&bodies).expect("JSON");
    expect_file!["../conversations/sent.json"].assert_eq(&format!("{sent}\n"));
}
