//! What a promotion hands over, and promotions that a person must approve: from the
//! configuration to the program, the service and the page that take part.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use gyre_fault::{POINTS, Process};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::faults::Place;
use crate::http::{Served, TOKEN};
use crate::support::{
    Ran, Running, SMALL, clean_state, copy, finished, gyre, on, repository, run, sql, text,
};

/// A run whose first candidate passes its gate.
const PROMOTING: &str = "crates/gyre-cli/tests/it/promoting.toml";

/// A folder with the data of a run, its configuration, and a hook that keeps what it is
/// told.
struct Handing {
    folder: tempfile::TempDir,
}

/// Keeps the document of each call, and fails as often as the file `fails` says.
const HOOK: &str = r#"
cd "$1" || exit 9
n=$(($(cat calls 2>/dev/null || echo 0) + 1))
echo $n > calls
cat > document.$n
printf '%s\n' "$@" > arguments.$n
if [ $n -le "$(cat fails)" ]; then echo "the registry is down" >&2; exit 1; fi
"#;

impl Handing {
    /// A place with a configuration made of another, with `more` after it.
    fn new(base: &str, more: &str) -> Self {
        let handing = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(handing.path("hook.sh"), HOOK).unwrap();
        handing.fails(0);
        let base = fs::read_to_string(repository().join(base)).unwrap();
        fs::write(handing.path("config.toml"), format!("{base}\n{more}\n")).unwrap();
        handing
    }

    /// The same with the hook.
    fn hooked(base: &str, more: &str) -> Self {
        let handing = Self::new(base, "");
        let text = fs::read_to_string(handing.path("config.toml")).unwrap();
        let command = json!([
            "sh",
            handing.path("hook.sh"),
            handing.path(""),
            "{run}",
            "{round}",
            "{checkpoint}",
            "{champion}"
        ]);
        let hook = format!("[promotion.hook]\ncommand = {command}\n");
        fs::write(handing.path("config.toml"), format!("{text}\n{more}\n{hook}")).unwrap();
        handing
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// How many of the hook's next calls fail.
    fn fails(&self, times: u32) {
        fs::write(self.path("fails"), times.to_string()).unwrap();
    }

    fn begin(&self, failpoints: &str) -> Ran {
        let mut command = gyre();
        command.arg("--data-dir").arg(self.data()).args(["run", "--json", "--config"]);
        run(command.arg(self.path("config.toml")).env("GYRE_FAILPOINTS", failpoints))
    }

    fn resume(&self, failpoints: &str) -> Ran {
        let mut command = gyre();
        command.arg("--data-dir").arg(self.data()).args(["run", "--json", "--resume"]);
        run(command.env("GYRE_FAILPOINTS", failpoints))
    }

    fn gyre(&self, args: &[&str]) -> Ran {
        on(&self.data(), args)
    }

    /// The documents that the hook got, in order.
    fn documents(&self) -> Vec<Value> {
        let read = |n: u32| fs::read_to_string(self.path(&format!("document.{n}"))).ok();
        let texts = (1..).map_while(read);
        texts.map(|text| serde_json::from_str(&text).unwrap()).collect()
    }

    fn handovers(&self) -> Vec<Value> {
        self.gyre(&["handovers", "--json"]).ok().json().as_array().unwrap().clone()
    }

    /// The champion of the only run, and where the link leads.
    fn champion(&self) -> (String, PathBuf) {
        let newest = "SELECT run || ' ' || champion FROM promotions ORDER BY ordinal DESC LIMIT 1";
        let newest = sql(&self.data(), newest);
        let (run, champion) = newest.trim().split_once(' ').unwrap();
        let link = self.data().join("runs").join(run).join("champion");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let folder = fs::canonicalize(&link).unwrap();
        let recorded =
            sql(&self.data(), &format!("SELECT path FROM checkpoints WHERE id = '{champion}'"));
        let recorded = fs::canonicalize(self.data().join(recorded.trim())).unwrap();
        assert_eq!(folder, recorded, "the link leads to the champion");
        (champion.to_owned(), folder)
    }
}

#[test]
fn a_hook_that_fails_is_called_again_until_it_takes_the_promotion() {
    let handing = Handing::hooked(SMALL, "");
    handing.fails(2);
    let ran = handing.begin("").ok();
    let told: Vec<_> =
        ran.json_lines().into_iter().filter(|line| line["event"] == "handover").collect();
    let states: Vec<_> = told.iter().map(|line| text(line, "state").to_owned()).collect();
    assert_eq!(states[..3], ["pending", "pending", "delivered"], "{told:#?}");
    assert!(text(&told[0], "last_detail").contains("the registry is down"), "{told:#?}");

    let documents = handing.documents();
    assert_eq!(documents[0], documents[2], "a repetition is told as the first time");
    let rows = handing.handovers();
    assert_eq!((&rows[0]["round"], &rows[0]["attempts"]), (&json!(0), &json!(3)));
    assert!(rows.iter().all(|row| row["state"] == "delivered"), "{rows:#?}");

    let first = &documents[0];
    assert_eq!(first["format_version"], 1);
    assert_eq!((text(first, "event"), &first["gate"]), ("promotion", &Value::Null));
    let base = text(&first["champion"], "id");
    assert_eq!(text(first, "id"), format!("small-1/0/{base}"));
    let folder = Path::new(text(&first["champion"], "path"));
    assert!(folder.join("model.safetensors").is_file(), "{folder:?}");
    let arguments = fs::read_to_string(handing.path("arguments.1")).unwrap();
    let arguments: Vec<_> = arguments.lines().skip(1).collect();
    let link = text(&first["champion"], "link");
    assert_eq!(arguments, ["small-1", "0", &folder.display().to_string(), link]);
    handing.champion();
    // What is handed over is no part of what a run comes to.
    assert_eq!(clean_state(&handing.data()), clean_state(&finished().data));
}

#[test]
fn a_hook_that_never_works_ends_no_run_and_is_shown_until_somebody_delivers() {
    let handing = Handing::hooked(SMALL, "[promotion]\nattempts_max = 2");
    handing.fails(1_000);
    handing.begin("").ok();
    let rows = handing.handovers();
    assert_eq!((&rows[0]["state"], &rows[0]["attempts"]), (&json!("pending"), &json!(2)));
    assert_eq!(clean_state(&handing.data()), clean_state(&finished().data));
    let audits = handing.gyre(&["audit", "--json"]).ok().json();
    let notes = audits[0]["notes"].to_string();
    assert!(notes.contains("not handed over to the hook after 2 attempts"), "{notes}");
    let status = handing.gyre(&["status"]).ok().stdout;
    assert!(status.contains("the registry is down"), "{status}");
    let shown = handing.gyre(&["show", "small-1", "--json"]).ok().json();
    assert_eq!(shown["handovers"][0]["state"], "pending");

    handing.gyre(&["handovers", "--deliver"]).fails(18, &["not delivered"]);
    handing.fails(0);
    handing.gyre(&["handovers", "--deliver"]).ok();
    assert!(handing.handovers().iter().all(|row| row["state"] == "delivered"));
    let audits = handing.gyre(&["audit", "--json"]).ok().json();
    assert_eq!(audits[0]["notes"], json!([]));
}

/// Once at each point, the process dies: the promotion is never lost, and each
/// hand-over is made at least once, with the same document.
#[test]
fn a_process_that_is_killed_around_a_hand_over_is_followed_by_one_that_makes_it() {
    let points = POINTS.iter().filter(|point| point.of == Process::Handover);
    let points: Vec<_> =
        points.map(|point| point.name).filter(|name| name.starts_with("handover::")).collect();
    assert_eq!(points.len(), 4);
    for point in points {
        let handing = Handing::hooked(SMALL, "");
        let died = handing.begin(&format!("{point}=1*return"));
        assert_eq!(died.code, None, "{point}: {died:#?}");
        assert!(died.stderr.contains(&format!("failpoint {point}")), "{died:#?}");
        clean_state(&handing.data());
        handing.resume("").ok();
        let rows = handing.handovers();
        assert!(rows.iter().all(|row| row["state"] == "delivered"), "{point}: {rows:#?}");
        let documents = handing.documents();
        let told = |id: &Value| documents.iter().filter(|document| document["id"] == *id).count();
        let twice = usize::from(matches!(point, "handover::attempted" | "handover::committing"));
        assert_eq!(told(&documents[0]["id"]), 1 + twice, "{point}");
        assert!(
            documents.iter().all(|one| one["id"] != documents[0]["id"] || *one == documents[0])
        );
        assert_eq!(clean_state(&handing.data()), clean_state(&finished().data), "{point}");
    }
}

/// A request that a webhook got.
struct Posted {
    head: String,
    body: Vec<u8>,
}

impl Posted {
    fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let found = self.head.lines().find_map(|line| line.strip_prefix(start.as_str()));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

const SECRET: &str = "a-secret-of-the-tests";

/// A real listener that answers one request after another with these heads. It gives
/// each request to whoever waits.
fn webhook(answers: Vec<&'static str>) -> (String, mpsc::Receiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/gyre", listener.local_addr().unwrap());
    let (sender, posted) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let request = read_request(&mut stream);
            let body = "said\nby the other side";
            let length = body.len();
            let head = format!("HTTP/1.1 {answer}\r\nContent-Length: {length}\r\n");
            let _ = write!(stream, "{head}Connection: close\r\n\r\n{body}");
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (url, posted)
}

fn read_request(stream: &mut TcpStream) -> Posted {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the request ended early");
        bytes.extend_from_slice(&piece[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        if bytes.len() >= end + 4 + length {
            return Posted { head, body: bytes[end + 4..].to_vec() };
        }
    }
}

#[test]
fn a_webhook_is_signed_and_tried_until_it_answers_that_it_took_the_promotion() {
    let answers = vec![
        "500 Internal Server Error",
        "307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/elsewhere",
        "204 No Content",
        "204 No Content",
        "204 No Content",
    ];
    let (url, posted) = webhook(answers);
    let more = format!("[promotion.webhook]\nurl = \"{url}\"\nsecret_env = \"HOOK_SECRET\"");
    let handing = Handing::new(SMALL, &more);
    let mut command = gyre();
    command.arg("--data-dir").arg(handing.data()).args(["run", "--json", "--config"]);
    run(command.arg(handing.path("config.toml")).env("HOOK_SECRET", SECRET)).ok();

    let wait = Duration::from_secs(60);
    let first: Vec<_> = (0..3).map(|_| posted.recv_timeout(wait).unwrap()).collect();
    for request in &first {
        assert!(request.head.starts_with("post /hooks/gyre http/1.1"), "{}", request.head);
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("gyre-event"), "promotion");
        assert_eq!(request.body, first[0].body);
        let document: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(request.header("idempotency-key"), text(&document, "id"));
        let signature = request.header("gyre-signature");
        let (time, hex) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("{time}.").as_bytes());
        mac.update(&request.body);
        let expected = mac.finalize().into_bytes();
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected, "anybody with the secret can check who sent it");
    }
    let rows = handing.handovers();
    let base = &rows[0];
    assert_eq!((&base["target"], &base["attempts"]), (&json!("webhook"), &json!(3)));
    let details = "SELECT detail FROM handover_attempts WHERE round = 0 ORDER BY ordinal";
    let details = sql(&handing.data(), details);
    let details: Vec<_> = details.lines().collect();
    assert_eq!(
        details[..2],
        [
            "the webhook answered 500 Internal Server Error: said by the other side",
            "the webhook answered 307 Temporary Redirect; redirects are not followed: said by the \
             other side",
        ]
    );
    assert_eq!(clean_state(&handing.data()), clean_state(&finished().data));
}

#[test]
fn a_webhook_without_its_secret_sends_nothing_and_says_what_is_missing() {
    let (url, posted) = webhook(vec!["204 No Content"]);
    let more = format!(
        "[promotion]\nattempts_max = 1\n[promotion.webhook]\nurl = \"{url}\"\n\
         secret_env = \"NOBODY_SET_THIS\""
    );
    let handing = Handing::new(SMALL, &more);
    handing.begin("").ok();
    let detail = text(&handing.handovers()[0], "last_detail").to_owned();
    assert!(detail.contains("NOBODY_SET_THIS"), "{detail}");
    assert!(posted.try_recv().is_err());
    let refused = |webhook: &str, words: &[&str]| {
        let handing = Handing::new(SMALL, &format!("[promotion.webhook]\n{webhook}"));
        handing.begin("").fails(12, words);
    };
    refused(
        "url = \"http://deploy.example\"\nsecret_env = \"S\"",
        &["promotion.webhook.url", "https"],
    );
    refused("url = \"https://a:b@deploy.example\"\nsecret_env = \"S\"", &["user or a password"]);
}

/// A run that waits for approval of its first candidate, and that candidate.
fn waiting(more: &str) -> (Handing, String) {
    let more = format!("approval = \"manual\"\n{more}");
    let handing = Handing::hooked(PROMOTING, &more);
    let ran = handing.begin("");
    assert_eq!(ran.code, Some(16), "{ran:#?}");
    let candidate = sql(&handing.data(), "SELECT candidate FROM approvals").trim().to_owned();
    let said = ran.stderr.trim();
    assert!(said.contains(&format!("`gyre promote {candidate}`")), "{said}");
    assert!(!said.contains("error:"), "it has not failed: {said}");
    (handing, candidate)
}

#[test]
fn a_candidate_that_passed_waits_for_a_person_who_promotes_or_declines_it() {
    let (handing, candidate) = waiting("");
    let (base, _) = handing.champion();
    assert_ne!(base, candidate);
    clean_state(&handing.data());
    let status = handing.gyre(&["status"]).ok().stdout;
    assert!(status.contains(&format!("waits for approval of {candidate}")), "{status}");
    // The run goes no further meanwhile.
    assert_eq!(handing.resume("").code, Some(16));
    handing.gyre(&["promote", "ckpt-0000000000000000"]).fails(17, &["no candidate"]);

    let declined = Handing::hooked(PROMOTING, "");
    copy(&handing.data(), &declined.data());
    let said = ["promote", "promoting-1", "--decline", "--by", "ada", "--why", "not yet"];
    declined.gyre(&said).ok();
    assert_eq!(declined.champion().0, base);
    // The next candidate may pass too, and wait.
    let resumed = declined.resume("");
    assert!(matches!(resumed.code, Some(0 | 16)), "{resumed:#?}");
    clean_state(&declined.data());
    let rounds = declined.gyre(&["rounds", "--json"]).ok().json();
    assert_eq!(rounds[1]["stage"], "rejected");
    let approval = &rounds[1]["approval"];
    assert_eq!((text(approval, "by"), text(approval, "why")), ("ada", "not yet"));

    let said = handing.gyre(&["promote", &candidate, "--json"]).ok().json();
    assert!(text(&said, "by").contains('@'), "{said}");
    assert_eq!(handing.champion().0, candidate);
    let documents = handing.documents();
    let last = documents.last().unwrap();
    assert_eq!(text(&last["champion"], "id"), candidate);
    assert_eq!(last["approval"]["by"], said["by"]);
    assert_eq!(last["gate"]["record"]["decision"]["decision"], "promote");
    assert_eq!(text(last, "previous"), base);
    handing.gyre(&["promote", &candidate]).fails(17, &["no candidate"]);
    let resumed = handing.resume("");
    // The next round may have a candidate that passes too.
    assert!(matches!(resumed.code, Some(0 | 16)), "{resumed:#?}");
    clean_state(&handing.data());
}

/// Who is killed while an answer is recorded has said it or not, never half of it.
#[test]
fn an_answer_survives_a_kill_or_was_never_given() {
    let (handing, candidate) = waiting("");
    let promote = |point: &str| {
        let mut command = gyre();
        command.arg("--data-dir").arg(handing.data()).args(["promote", &candidate]);
        run(command.env("GYRE_FAILPOINTS", format!("{point}=1*return")))
    };
    let (base, _) = handing.champion();
    assert_eq!(promote("approval::answering").code, None);
    clean_state(&handing.data());
    assert_eq!(handing.champion().0, base);
    assert_eq!(promote("approval::answered").code, None);
    clean_state(&handing.data());
    let promoted = sql(&handing.data(), "SELECT champion FROM promotions WHERE round = 1");
    assert_eq!(promoted.trim(), candidate, "the answer is recorded, and the link is behind");
    let resumed = handing.resume("");
    assert!(matches!(resumed.code, Some(0 | 16)), "{resumed:#?}");
    let rows = handing.handovers();
    assert!(rows.iter().all(|row| row["state"] == "delivered"), "{rows:#?}");
    handing.champion();
    clean_state(&handing.data());
}

#[test]
fn the_page_promotes_for_those_who_show_the_token() {
    let (handing, candidate) = waiting("");
    let served = Served::start(&handing.data());
    let round = "/runs/promoting-1/rounds/1";
    let host = format!("Host: {}", served.address);
    let token = format!("Authorization: Bearer {TOKEN}");
    let form = "Content-Type: application/x-www-form-urlencoded";
    let page = served.page(round);
    assert!(page.contains("Approval: waiting") && page.contains("Sign in"), "{page}");
    assert!(!page.contains("/approve"), "the button is for those who are signed in");
    let signed = served.send("GET", round, &[&host, &token], "").text();
    assert!(signed.contains(&format!("action=\"{round}/approve\"")), "{signed}");

    let answer = format!("{round}/approve");
    assert_eq!(served.send("POST", &answer, &[&host, form], "by=eve").status, 401);
    let foreign = "Origin: http://evil.example";
    assert_eq!(served.send("POST", &answer, &[&host, &token, form, foreign], "by=eve").status, 403);
    assert_ne!(handing.champion().0, candidate, "nobody promoted it yet");
    let other = format!("{round}/withdraw");
    assert_eq!(served.send("POST", &other, &[&host, &token, form], "").status, 404);

    let promoted = served.send("POST", &answer, &[&host, &token, form], "by=ada");
    assert_eq!((promoted.status, promoted.header("location")), (303, Some(round)));
    assert_eq!(handing.champion().0, candidate);
    let said = served.json("/api/v1/runs/promoting-1/rounds/1");
    let approval = &said["summary"]["approval"];
    assert_eq!(text(approval, "by"), "ada (token GYRE_SERVER_TOKEN)");
    let via = "SELECT via || ' ' || answered_by FROM approval_answers";
    assert_eq!(sql(&handing.data(), via).trim(), "page ada (token GYRE_SERVER_TOKEN)");

    // Too late for another answer, by the API too.
    let again = format!("/api/v1{round}/decline");
    let refused = served.send("POST", &again, &[&host, &token], "");
    assert_eq!((refused.status, refused.code().as_str()), (409, "not_awaited"));
    // The service hands the promotion over by itself.
    while served.json("/api/v1/runs/promoting-1/handovers")["items"]
        .as_array()
        .unwrap()
        .iter()
        .any(|row| row["delivered"] == false)
    {}
    assert_eq!(text(&handing.documents().last().unwrap()["champion"], "id"), candidate);
    assert!(served.page(round).contains("handed over to the hook"));
    assert_eq!(served.stop(), Some(0));
    clean_state(&handing.data());
}

#[test]
fn an_approval_expires_and_the_champion_stays() {
    let more = "approval = \"manual\"\napproval_expires = \"1s\"";
    let handing = Handing::hooked(PROMOTING, more);
    let answer = || sql(&handing.data(), "SELECT answer FROM approval_answers WHERE round = 1");
    let mut ran = handing.begin("");
    while ran.code == Some(16) && answer().is_empty() {
        ran = handing.resume("");
    }
    let candidate = sql(&handing.data(), "SELECT candidate FROM approvals WHERE round = 1");
    let (candidate, (base, _)) = (candidate.trim(), handing.champion());
    let answers =
        "SELECT answer || COALESCE(answered_by, '') FROM approval_answers WHERE round = 1";
    assert_eq!(sql(&handing.data(), answers).trim(), "expired");
    let promotions = "SELECT COUNT(*) FROM promotions WHERE champion = ";
    let of_candidate = sql(&handing.data(), &format!("{promotions}'{candidate}'"));
    assert_eq!(of_candidate.trim(), "0");
    let rounds = handing.gyre(&["rounds", "--json"]).ok().json();
    assert_eq!(
        (&rounds[1]["stage"], &rounds[1]["approval"]["state"]),
        (&json!("rejected"), &json!("expired"))
    );
    handing.gyre(&["promote", candidate]).fails(17, &["no candidate"]);
    assert_ne!(base, candidate);
    clean_state(&handing.data());
}

/// Ticks come and go while a round waits, and none of them fails.
#[test]
fn a_schedule_waits_for_the_answer() {
    let place = Place::sqlite();
    let promoting = fs::read_to_string(repository().join(PROMOTING)).unwrap();
    let file = place.folder().join("service.toml");
    let schedule = "approval = \"manual\"\n[[schedules]]\nname = \"often\"\ncron = \"* * * * * *\"\n\
                    stop = { failures_in_a_row = 1 }\n";
    fs::write(&file, format!("{promoting}\n{schedule}")).unwrap();
    let mut running: Running = crate::faults::serve(&place, &file, "");
    let mut settled = |wanted: &str| loop {
        let told = running.next().expect("the service serves");
        if told["event"] == "tick_settled" && text(&told, "detail").contains(wanted) {
            return told;
        }
    };
    for _ in 0..2 {
        let told = settled("round 1 of promoting-1: awaiting approval");
        assert_eq!((&told["state"], &told["stop"]), (&json!("done"), &Value::Null));
    }
    run(place.gyre().args(["promote", "promoting-1", "--by", "ada"])).ok();
    settled("round 2 of promoting-1");
    running.terminate().ok();
    place.clean();
}
