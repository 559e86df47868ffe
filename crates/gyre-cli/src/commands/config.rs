use gyre_orchestrator::RunConfig;

use crate::args::ConfigCommand;
use crate::{output, session};

pub(crate) fn config(command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Show { config } => {
            let config = session::read_config(config.as_deref())?;
            output::line(toml::to_string_pretty(&config.without_secrets())?.trim_end());
            Ok(())
        }
        ConfigCommand::Schema => output::json_pretty(&schemars::schema_for!(RunConfig)),
    }
}
