//! What the quick start promises: a candidate that is better than its base, by
//! the shipped settings. `cargo xtask learn` runs all of it, on several seeds.

use serde_json::Value;

use crate::support::on;

/// Where the 95% interval of the gain must begin at least: the first round gains
/// about seven points, and its interval reaches three to either side.
const GAIN_LOW_MIN: f64 = 0.02;

#[test]
fn one_round_of_the_quick_start_is_promoted_and_beats_its_base() {
    let folder = tempfile::tempdir().unwrap();
    // Everything as shipped but for the number of rounds.
    let run = ["run", "--config", "configs/quickstart.toml", "--rounds", "1", "--json"];
    let last = on(folder.path(), run).ok().json_lines().pop().unwrap();
    assert_eq!(last["event"], "run_finished");
    let round = &last["rounds"][0];
    assert_eq!(round["promoted"], true, "{round:#}");
    assert_eq!(last["champion"]["round"], 1);
    let low = last["gain"]["interval"]["low"].as_f64().unwrap();
    assert!(low > GAIN_LOW_MIN, "{:#}", last["gain"]);
    assert_eq!(round["tasks"], 600, "{round:#}");
    assert!(passed(round) > passed(&last["base"]), "{last:#}");
    assert_eq!(round["canaries"]["passed"], 0, "{round:#}");
}

/// Test tasks that were solved.
fn passed(round: &Value) -> u64 {
    let levels = round["levels"].as_object().unwrap();
    levels.values().map(|level| level["passed"].as_u64().unwrap()).sum()
}
