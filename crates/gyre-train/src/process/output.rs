//! What a program prints: all of it to a log with a bound, its last lines for errors,
//! and its lines of progress.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Mutex, mpsc};

/// Lines that an error shows, and the bytes of each.
const TAIL_LINES: usize = 12;
const TAIL_LINE_BYTES: usize = 300;

/// Bytes of a line that are looked at. What a program prints without a line end
/// must not fill the memory.
const LINE_BYTES_MAX: usize = 16 << 10;

const CHUNK_BYTES: usize = 64 << 10;

/// A log of a program's two streams.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    written: u64,
    bytes_max: u64,
    /// Whether the log says that it ends.
    is_full: bool,
    tail: VecDeque<String>,
}

pub(crate) type SharedLog = Arc<Mutex<Log>>;

impl Log {
    pub(crate) async fn create(path: &Path, bytes_max: u64) -> io::Result<SharedLog> {
        let file = File::create(path).await?;
        let (path, tail) = (path.to_owned(), VecDeque::new());
        Ok(Arc::new(Mutex::new(Self { path, file, written: 0, bytes_max, is_full: false, tail })))
    }

    /// Adds bytes until the bound is reached, and says once that it is.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.bytes_max.saturating_sub(self.written);
        let fits = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.file.write_all(&bytes[..fits]).await?;
        self.written += fits as u64;
        if fits < bytes.len() && !self.is_full {
            self.is_full = true;
            let end = format!("\ngyre: the log ends here, at {} bytes\n", self.bytes_max);
            self.file.write_all(end.as_bytes()).await?;
        }
        self.file.flush().await
    }

    fn remember(&mut self, line: &[u8]) {
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        let shown = String::from_utf8_lossy(&line[..line.len().min(TAIL_LINE_BYTES)]);
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        self.tail.push_back(shown.trim_end().chars().map(printable).collect());
    }

    /// The last lines, and where the others are: the end of an error's message.
    pub(crate) fn excerpt(&self) -> String {
        let log = self.path.display();
        if self.tail.is_empty() {
            return format!("it printed nothing ({log})");
        }
        let lines: Vec<&str> = self.tail.iter().map(String::as_str).collect();
        format!("its last lines (more in {log}):\n  {}", lines.join("\n  "))
    }
}

/// Copies one stream to the log, and sends each whole line on, until the stream ends.
pub(crate) async fn copy(
    mut from: impl AsyncRead + Unpin,
    log: SharedLog,
    lines: Option<mpsc::Sender<Vec<u8>>>,
) -> io::Result<()> {
    let mut splitter = Splitter::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        let mut whole = Vec::new();
        match length {
            0 => whole.extend(splitter.finish()),
            _ => splitter.split(&chunk[..length], |line| whole.push(line)),
        }
        let mut log = log.lock().await;
        log.write(&chunk[..length]).await?;
        let old = whole.len().saturating_sub(TAIL_LINES);
        whole[old..].iter().for_each(|line| log.remember(line));
        drop(log);
        for line in whole.into_iter().filter(|line| is_object(line)) {
            if let Some(lines) = &lines {
                // There may be no receiver; the stream is still copied to its end.
                let _ = lines.send(line).await;
            }
        }
        if length == 0 {
            return Ok(());
        }
    }
}

/// Whether a line can be progress: most lines of most programs cannot.
fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
}

/// Splits chunks into lines. A carriage return ends a line too: progress bars
/// consist of them. Lines of nothing are left out, and long ones are cut.
#[derive(Default)]
struct Splitter {
    line: Vec<u8>,
}

impl Splitter {
    fn split(&mut self, chunk: &[u8], mut whole: impl FnMut(Vec<u8>)) {
        let mut parts = chunk.split(|&byte| byte == b'\n' || byte == b'\r').peekable();
        while let Some(part) = parts.next() {
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if parts.peek().is_some() {
                self.finish().into_iter().for_each(&mut whole);
            }
        }
    }

    fn finish(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        (!line.trim_ascii().is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_wherever_the_chunks_were_cut() {
        let text = b"one\n\n  \r two\r\nthr\xffee\nlast";
        for cut in 0..=text.len() {
            let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
            splitter.split(&text[..cut], |line| lines.push(line));
            splitter.split(&text[cut..], |line| lines.push(line));
            lines.extend(splitter.finish());
            assert_eq!(lines, [&b"one"[..], b" two", b"thr\xffee", b"last"], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        for _ in 0..100 {
            splitter.split(&[b'x'; 4096], |line| lines.push(line));
        }
        assert!(lines.is_empty());
        splitter.split(b"\nshort\n", |line| lines.push(line));
        assert_eq!(lines, [vec![b'x'; LINE_BYTES_MAX], b"short".to_vec()]);
    }
}
