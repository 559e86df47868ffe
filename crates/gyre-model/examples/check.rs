//! Tries what a server supports: `cargo run --example check -- URL [MODEL] [DIALECT]`.
//!
//! A key is read from `MODEL_KEY`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to people")]
#![expect(clippy::disallowed_methods, reason = "an example is a binary: it reads the environment")]

use std::process::ExitCode;

use gyre_model::{Dialect, OpenAiConfig, Secret, check};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(url) = arguments.next() else {
        eprintln!("usage: check URL [MODEL] [openai | vllm | llamacpp | sglang]");
        return ExitCode::FAILURE;
    };
    let model = arguments.next().filter(|model| !model.is_empty());
    let dialect = match arguments.next().as_deref() {
        Some("vllm") => Dialect::Vllm,
        Some("llamacpp") => Dialect::LlamaCpp,
        Some("sglang") => Dialect::SgLang,
        _ => Dialect::OpenAi,
    };
    let key = std::env::var("MODEL_KEY").ok().map(Secret::new);
    let config = OpenAiConfig { url, model, dialect, ..OpenAiConfig::default() };
    match check(config, key).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
