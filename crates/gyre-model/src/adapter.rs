use std::path::Path;

use serde_json::json;

use crate::dialect::Dialect;
use crate::error::{ModelError, ModelErrorKind};
use crate::openai::OpenAi;

impl OpenAi {
    /// Tells the server to load a LoRA adapter from a folder that it can read. From
    /// then on it answers under this name, beside the base model: connect again with
    /// `model` set to it.
    ///
    /// A name stands for one adapter for ever, so that no rollout can be made by
    /// another one than it says: give each version a name of its own. So a name that
    /// the server lists already is not loaded again, as after a crash.
    ///
    /// vLLM needs `--enable-lora` and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`, SGLang
    /// `--enable-lora`.
    ///
    /// # Errors
    ///
    /// When the dialect has no such request, or the server refuses it.
    pub async fn load_adapter(&self, name: &str, folder: &Path) -> Result<(), ModelError> {
        let listed = self.models().await.unwrap_or_default();
        if listed.iter().any(|listed| listed == name) {
            return Ok(());
        }
        let body = json!({"lora_name": name, "lora_path": folder.to_string_lossy()});
        self.order("load_lora_adapter", &body).await
    }

    /// Tells the server to forget a LoRA adapter.
    ///
    /// # Errors
    ///
    /// When the dialect has no such request, or the server refuses it.
    pub async fn unload_adapter(&self, name: &str) -> Result<(), ModelError> {
        self.order("unload_lora_adapter", &json!({"lora_name": name})).await
    }

    async fn order(&self, order: &str, body: &serde_json::Value) -> Result<(), ModelError> {
        let path = format!("/{order}");
        let ordered = match self.dialect() {
            Dialect::Vllm => self.transport().order(&path, body).await,
            Dialect::SgLang => self.transport().order_root(&path, body).await,
            Dialect::OpenAi | Dialect::LlamaCpp => Err(ModelErrorKind::Configuration {
                why: "servers of this dialect load no adapters; set `dialect` to `vllm` or \
                      `sglang`, or start a server anew for each version"
                    .to_owned(),
            }),
        };
        ordered.map_err(|kind| self.error(kind, 1))
    }
}
