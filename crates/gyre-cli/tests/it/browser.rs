//! A real Chromium without a window, driven over its debugging pipe: messages
//! are JSON, each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with one tab, ended when dropped.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    next_id: u64,
    session: String,
    /// What the page said that a developer would want to know.
    pub(crate) complaints: Vec<String>,
    _profile: TempDir,
}

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

impl Browser {
    /// The browser that the caller names.
    #[expect(clippy::disallowed_methods, reason = "the caller chooses the browser")]
    pub(crate) fn start() -> Self {
        let program = std::env::var("GYRE_TEST_CHROMIUM").expect(
            "GYRE_TEST_CHROMIUM is not set; it names a Chromium (apt-get install chromium)",
        );
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        // The browser reads commands from file 3 and answers on file 4.
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", &program]);
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().display()));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let from = BufReader::new(from);
        let (session, complaints) = (String::new(), Vec::new());
        let mut browser =
            Self { child, to, from, next_id: 0, session, complaints, _profile: profile };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.ask(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sets the size of the window, and whether it prefers dark pages.
    pub(crate) fn resize(&mut self, width: u32, dark: bool) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Opens a page and waits until it has loaded.
    pub(crate) fn open(&mut self, url: &str) {
        let navigated = self.ask("Page.navigate", json!({ "url": url }));
        assert!(navigated.get("errorText").is_none(), "{url}: {navigated}");
        self.until("Page.loadEventFired");
    }

    /// Follows a link, as a click on it does, and waits for the page.
    pub(crate) fn click(&mut self, selector: &str) {
        let script = format!(
            "(() => {{ const e = document.querySelector({selector:?}); if (e) e.dispatchEvent(new MouseEvent('click', {{ bubbles: true, cancelable: true }})); return !!e; }})()"
        );
        assert_eq!(self.eval(&script), true, "no {selector} on {}", self.eval("location.href"));
        self.until("Page.loadEventFired");
    }

    /// The value of an expression in the page.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let result = self
            .ask("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        result["result"]["value"].clone()
    }

    /// Keeps a picture of the whole page.
    pub(crate) fn screenshot(&mut self, path: &Path) {
        let shot = self.ask("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        std::fs::write(path, from_base64(shot["data"].as_str().unwrap())).unwrap();
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.read();
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    fn until(&mut self, event: &str) {
        loop {
            let message = self.read();
            self.note(&message);
            if message["method"] == event {
                return;
            }
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    fn note(&mut self, message: &Value) {
        let bad = match message["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Network.loadingFailed") => true,
            Some("Log.entryAdded") => message["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => message["params"]["type"] == "error",
            _ => false,
        };
        if bad {
            self.complaints.push(message["params"].to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |c: u8| DIGITS.iter().position(|d| *d == c).map(|at| at as u32);
    let digits: Vec<u32> = text.bytes().filter_map(digit).collect();
    let quad = |four: &[u32]| {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        let bytes = bits.to_be_bytes();
        bytes[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(quad).collect()
}
