use gyre_orchestrator::RunConfig;

use crate::args::{ConfigCommand, Global};
use crate::{output, session};

pub(crate) fn config(global: &Global, command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Show { config } => {
            let config = session::read_config(config.as_deref())?;
            if global.json {
                return output::json_pretty(&config.without_secrets());
            }
            output::line(toml::to_string_pretty(&config.without_secrets())?.trim_end());
            Ok(())
        }
        ConfigCommand::Schema => output::json_pretty(&schemars::schema_for!(RunConfig)),
    }
}
