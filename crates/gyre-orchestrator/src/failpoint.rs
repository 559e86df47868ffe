//! Named points at which a test may end the process, as `kill -9` would.
//!
//! They are in the program that ships, so that what is tested is what runs. A
//! point costs a look into an empty table, unless `GYRE_FAILPOINTS` asks for one.

use fail::FailScenario;

/// The variable that says what happens where, such as
/// `run::committed=3*off->return`: the fourth time, the process dies.
const VARIABLE: &str = "GYRE_FAILPOINTS";

/// The points that the environment asked for, in force until this is dropped.
pub struct Failpoints {
    _scenario: FailScenario<'static>,
}

impl Failpoints {
    /// Puts in force what `GYRE_FAILPOINTS` asks for; `None` where it is not set.
    ///
    /// # Errors
    ///
    /// When it names something that cannot happen.
    #[expect(clippy::disallowed_methods, reason = "set by whoever tests crashes, for one process")]
    pub fn from_environment() -> Result<Option<Self>, String> {
        let Some(wanted) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let scenario = FailScenario::setup();
        for point in wanted.to_string_lossy().split(';').filter(|point| !point.is_empty()) {
            let (name, actions) = point
                .split_once('=')
                .ok_or(format!("{VARIABLE}: {point:?} is not name=actions"))?;
            fail::cfg(name, actions).map_err(|why| format!("{VARIABLE}: {point:?}: {why}"))?;
        }
        Ok(Some(Self { _scenario: scenario }))
    }
}

/// Ends the process here, if that was asked for.
pub(crate) fn crash_point(name: &str) {
    fail::fail_point!(name, |_| die());
}

/// Ends the process without unwinding, flushing or telling anybody.
fn die() {
    #[cfg(unix)]
    // Where the signal cannot be sent, aborting comes closest.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort();
}
