//! Every page in a real browser, over a run of three rounds: nothing runs over
//! the edge, nothing complains, and links lead on. Pictures are kept.

use std::fs;
use std::path::Path;

use crate::browser::Browser;
use crate::http::{Served, TOKEN};
use crate::schedule_pages;
use crate::support::{RUN, SMALL, on, sql};

/// Whether the page is wider than the window, and what every page must have.
const FAULTS: &str = r#"(() => {
  const faults = [];
  if (document.documentElement.scrollWidth > innerWidth) {
    const wide = [...document.querySelectorAll("main *")]
      .find(e => !e.closest(".scroll, svg") && e.getBoundingClientRect().right > innerWidth + 1);
    faults.push("wider than the window: " + (wide ? wide.outerHTML.slice(0, 200) : "?"));
  }
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  if (!document.querySelector("main") || !document.querySelector("a.skip")) faults.push("no landmark");
  if (document.documentElement.lang !== "en") faults.push("no language");
  for (const input of document.querySelectorAll("input, select"))
    if (!input.labels.length) faults.push("no label: " + input.outerHTML.slice(0, 100));
  for (const table of document.querySelectorAll("table"))
    if (!table.querySelector("th[scope]")) faults.push("a table without headers");
  for (const svg of document.querySelectorAll("svg"))
    if (!svg.ariaLabel && svg.ariaHidden !== "true") faults.push("a picture without words");
  return faults.join("; ");
})()"#;

#[test]
fn every_page_reads_well_on_a_laptop_and_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    on(data, ["run", "--config", SMALL, "--rounds", "3"]).ok();
    schedule_pages::plant(data);
    let one = |statement: &str| sql(data, statement).trim().to_owned();
    let rollout = one("SELECT MIN(id) FROM rollouts");
    let other = one(
        "SELECT MAX(b.id) FROM rollouts a, rollouts b WHERE a.id = (SELECT MIN(id) FROM rollouts) AND b.task = a.task",
    );
    let task = one("SELECT task FROM rollouts ORDER BY id LIMIT 1");
    let (checkpoint, shard) =
        (one("SELECT MAX(id) FROM checkpoints"), one("SELECT MIN(id) FROM shards"));
    let run = format!("/runs/{RUN}");
    let pages = [
        ("runs", "/".to_owned()),
        ("overview", run.clone()),
        ("cold-start", format!("{run}/rounds/0")),
        ("round", format!("{run}/rounds/3")),
        ("tasks", format!("{run}/tasks")),
        ("task", format!("{run}/tasks/{task}")),
        ("rollouts", format!("{run}/rollouts")),
        ("filtered", format!("{run}/rollouts?verdict=pass&round=2&score_min=0.5")),
        ("trajectory", format!("{run}/rollouts/{rollout}")),
        ("compare", format!("{run}/compare?a={rollout}&b={other}")),
        ("dataset", format!("{run}/dataset")),
        ("lineage-shard", format!("{run}/lineage/{shard}")),
        ("lineage-checkpoint", format!("{run}/lineage/{checkpoint}")),
        ("lineage-rollout", format!("{run}/lineage/{rollout}")),
        ("verifiers", "/verifiers".to_owned()),
        ("schedules", "/schedules".to_owned()),
        ("schedule", "/schedules/nightly?tick=2000".to_owned()),
        ("login", "/login".to_owned()),
    ];
    let served = Served::start(data);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&pictures).unwrap();
    let mut browser = Browser::start();
    for (width, dark) in [(1280, false), (390, true)] {
        browser.resize(width, dark);
        for (name, path) in &pages {
            browser.open(&format!("http://{}{path}", served.address));
            assert_eq!(browser.eval(FAULTS), "", "{path} at {width}");
            let picture = pictures.join(format!("{name}-{width}.png"));
            browser.screenshot(&picture);
            assert!(fs::metadata(picture).unwrap().len() > 2_000, "{path}");
        }
    }
    assert_eq!(browser.complaints, Vec::<String>::new());
    click_through(&mut browser, &served.address, &run);
    assert_eq!(browser.complaints, Vec::<String>::new());
}

/// From the overview to a shard and back, by clicks alone; then signing in.
fn click_through(browser: &mut Browser, address: &str, run: &str) {
    let place = "location.pathname + location.search";
    browser.open(&format!("http://{address}/"));
    browser.click("tbody th a");
    assert_eq!(browser.eval(place), run);
    browser.click("svg.chart a:nth-of-type(3)");
    assert_eq!(browser.eval(place), format!("{run}/rounds/2"));
    browser.click("main p a[href*='rollouts?round=2']");
    browser.click("a[rel=next]");
    browser.click("tbody th a");
    let rollout = browser.eval(place).as_str().unwrap().to_owned();
    assert!(rollout.starts_with(&format!("{run}/rollouts/roll-")), "{rollout}");
    browser.click("dl.facts a[href*='/lineage/roll-']");
    browser.click("section[aria-label='Came from'] li a[href*='/lineage/task-']");
    browser.click("section[aria-label='Led to'] li a[href*='/lineage/roll-']");
    browser.open(&format!("http://{address}{run}/tasks?split=gate&difficulty=1"));
    let parts = "[...document.querySelectorAll('[aria-label=Tasks] tbody td:nth-child(4)')].every(c => c.textContent === 'gate')";
    assert_eq!(browser.eval(parts), true);

    browser.open(&format!("http://{address}/login"));
    browser.eval(&format!("document.querySelector('input[name=token]').value = '{TOKEN}'"));
    browser.click("button[type=submit]");
    assert_eq!(browser.eval(place), "/");
    browser.open(&format!("http://{address}{rollout}"));
    browser.click("form[action$=replay] button");
    let said = browser.eval("document.querySelector('.notice').textContent");
    assert!(said.as_str().unwrap().starts_with("Identical"), "{said}");

    // A picture of a lineage leads both ways.
    let id = rollout.rsplit('/').next().unwrap();
    browser.open(&format!("http://{address}{run}/lineage/{id}"));
    browser.click("svg.graph a[aria-label^=Task]");
    browser.click("svg.graph a[aria-label^=Rollout]");
    browser.click("svg.graph a[aria-label^=Verdict]");
    browser.click("svg.graph a[aria-label^=Rollout]");
    assert!(browser.eval(place).as_str().unwrap().contains("/lineage/roll-"));

    browser.open(&format!("http://{address}/schedules"));
    browser.click("tbody th a");
    browser.click("form[action$=pause] button");
    assert_eq!(browser.eval("document.querySelector('h1 .tag').textContent"), "paused");
    browser.click("form[action$=resume] button");
    assert_eq!(browser.eval("document.querySelector('h1 .tag').textContent"), "active");
}
