use crate::client::ModelClient;
use crate::error::{ModelError, ModelErrorKind};
use crate::openai::OpenAi;
use crate::probe;

impl OpenAi {
    /// Asks the server what it serves and makes it answer once, as is due whenever what
    /// it serves may have changed.
    ///
    /// Some servers give no list, and some list other names than they answer to. What is
    /// asked for is believed to be served where the list names it, where the answer names
    /// it, or where there is no list.
    ///
    /// Sends two requests, the second of which asks for a few tokens.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::NotServed`] where another model answers, or why there is no
    /// answer.
    pub async fn require_serving(&self) -> Result<(), ModelError> {
        let listed = self.models().await.unwrap_or_default();
        let answer = self.complete(probe::greeting()).await?;
        let asked = self.model();
        let is_served = listed.is_empty()
            || listed.iter().any(|name| name == asked)
            || answer.model.as_deref().is_some_and(|model| is_version_of(model, asked));
        if is_served {
            return Ok(());
        }
        let kind =
            ModelErrorKind::NotServed { asked: asked.to_owned(), listed, answers_as: answer.model };
        Err(self.error(kind, 1))
    }
}

/// Whether an answer names this model, or a version of it.
fn is_version_of(model: &str, asked: &str) -> bool {
    let rest = model.strip_prefix(asked);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
}
