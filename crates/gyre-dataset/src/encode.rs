//! What parts and shards have in common: messages.

use arrow_array::{ListArray, StringArray};
use gyre_types::{Message, Role, ToolCall};

use crate::columns::{Columns, View, bounds, optional};
use crate::error::Fault;

const ROLES: [Role; 4] = [Role::System, Role::User, Role::Assistant, Role::Tool];

/// One list of messages a row. Tool calls are JSON text: merged structs would
/// gain other tools' keys.
pub(crate) fn messages<'a>(
    columns: &mut Columns,
    lists: impl Iterator<Item = &'a [Message]> + Clone,
) -> Result<(), Fault> {
    let all = lists.clone().flatten();
    let mut items = Columns::default();
    items.text("role", all.clone().map(|message| message.role.as_str()));
    items.text("content", all.clone().map(|message| &message.content));
    let calls = all.clone().map(|message| {
        (!message.tool_calls.is_empty()).then(|| gyre_types::canonical_json(&message.tool_calls))
    });
    items.optional_text("tool_calls", calls);
    items.optional_text("tool_call_id", all.map(|message| message.tool_call_id.as_ref()));
    columns.struct_lists("messages", lists.map(<[Message]>::len), items)
}

/// The messages column, read.
pub(crate) struct Messages<'a> {
    list: &'a ListArray,
    role: &'a StringArray,
    content: &'a StringArray,
    tool_calls: &'a StringArray,
    tool_call_id: &'a StringArray,
}

impl<'a> Messages<'a> {
    pub(crate) fn of(view: &View<'a>) -> Result<Self, Fault> {
        let (list, items) = view.structs("messages")?;
        Ok(Self {
            list,
            role: items.text("role")?,
            content: items.text("content")?,
            tool_calls: items.text("tool_calls")?,
            tool_call_id: items.text("tool_call_id")?,
        })
    }

    pub(crate) fn row(&self, row: usize) -> Result<Vec<Message>, Fault> {
        bounds(self.list, row).map(|index| self.message(index)).collect()
    }

    fn message(&self, index: usize) -> Result<Message, Fault> {
        let name = self.role.value(index);
        let role = ROLES.into_iter().find(|role| role.as_str() == name);
        let tool_calls = match optional(self.tool_calls, index) {
            None => Vec::new(),
            Some(json) => serde_json::from_str::<Vec<ToolCall>>(json)
                .map_err(|error| Fault::Damaged(format!("tool calls: {error}")))?,
        };
        Ok(Message {
            role: role.ok_or_else(|| Fault::Damaged(format!("{name:?} is no role")))?,
            content: self.content.value(index).to_owned(),
            tool_calls,
            tool_call_id: optional(self.tool_call_id, index).map(str::to_owned),
        })
    }
}
