//! `gyre top`: a look at a running service, over its API alone.

use crate::http::{Served, TOKEN};
use crate::support::{RUN, finished, gyre, run, text};

#[test]
fn a_look_shows_runs_and_rounds() {
    let served = Served::start(&finished().data);
    let url = format!("http://{}", served.address);
    let look = run(gyre().args(["top", "--json", "--once", "--url", &url])).ok().json();
    assert_eq!(text(&look["runs"][0], "id"), RUN);
    assert_eq!(look["runs"][0]["rounds"], 2);
    assert!(look["runs"][0]["config"].is_null());
    assert_eq!(look["rounds"].as_array().unwrap().len(), 3);
    // Nobody watches a pipe: it looks once.
    let shown = run(gyre().args(["top", "--url", &url])).ok().stdout;
    assert!(shown.contains(RUN) && shown.contains("held-out pass@1"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
}

#[test]
fn a_token_is_sent_and_never_shown() {
    let served = Served::start(&finished().data);
    let url = format!("http://{}", served.address);
    let ran =
        run(gyre().env("GYRE_SERVER_TOKEN", TOKEN).args(["top", "--once", "--url", &url])).ok();
    assert!(!ran.stdout.contains(TOKEN) && !ran.stderr.contains(TOKEN));
}

#[test]
fn where_no_service_answers_it_says_so() {
    // Port 9 is that of the discard service, which nobody runs.
    let mut top = gyre();
    top.args(["top", "--once", "--url", "http://127.0.0.1:9"]);
    run(&mut top).fails(66, &["no service answers at http://127.0.0.1:9", "gyre serve", "--url"]);
}
