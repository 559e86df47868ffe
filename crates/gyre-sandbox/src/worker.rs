//! A worker: runs guests for requests that arrive as frames.
//!
//! It is the same code whether it is a process of its own or a thread.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::SandboxError;
use crate::frame::{self, FRAME_BYTES_MAX};
use crate::guest::{Guest, GuestImage};
use crate::layers::Layer;
use crate::plugin::loaded::LoadedVerifier;
use crate::plugin::verification::VerifierLimits;
use crate::protocol::{
    Fault, Request, Response, SessionKey, Usage, WireJob, WireReport, WireSpec, WireStep,
};
use crate::recycle::Recycler;

/// A worker sends what it has once it burnt this much fuel, some 10 ms, so
/// that nobody takes it for stuck, or once it is this large.
const FUEL_SENT: u64 = 100_000_000;
const BYTES_SENT: u64 = 256 << 10;

/// What a worker is told first: what the compiled code is that it was given.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Hello {
    /// The guest, with room for so many.
    Guests { live_max: u32, resets_checked_every: u64 },
    /// A verifier.
    Verifier { limits: VerifierLimits },
}

/// What a worker runs.
#[derive(Clone)]
pub(crate) enum Code {
    Guests(Arc<GuestImage>),
    Verifier(Arc<LoadedVerifier>),
}

impl Code {
    /// Runs what is to be run before the first request. It needs no rights.
    pub(crate) fn warm_up(&mut self) -> Result<(), SandboxError> {
        match self {
            // Nobody shares it yet.
            Self::Guests(image) => Arc::get_mut(image).map_or(Ok(()), GuestImage::run_first_guest),
            Self::Verifier(_) => Ok(()),
        }
    }

    fn guests(&self) -> Result<&GuestImage, Fault> {
        match self {
            Self::Guests(image) => Ok(image),
            Self::Verifier(_) => Err(misdirected()),
        }
    }

    fn verifier(&self) -> Result<&LoadedVerifier, Fault> {
        match self {
            Self::Verifier(verifier) => Ok(verifier),
            Self::Guests(_) => Err(misdirected()),
        }
    }
}

fn misdirected() -> Fault {
    Fault::Engine { message: "this worker runs something else".to_owned() }
}

/// What a worker says when it is ready, or why it never will be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Greeting {
    Ready { layers: Vec<Layer> },
    Refused { message: String },
}

/// Answers requests until the other side closes the stream.
pub(crate) fn serve(code: Code, mut stream: impl Read + Write) -> io::Result<()> {
    let checked_every = code.guests().map_or(1, GuestImage::resets_checked_every);
    let recycler = Recycler::new(checked_every);
    let mut worker = Worker { code, recycler, sessions: BTreeMap::new() };
    while let Some(requests) = frame::read::<Vec<Request>>(&mut stream)? {
        let (mut responses, mut fuel, mut bytes) = (Vec::new(), 0, 0);
        for request in requests {
            let response = worker.answer(request);
            fuel += response.fuel();
            bytes += response.bytes();
            responses.push(response);
            if fuel >= FUEL_SENT || bytes >= BYTES_SENT {
                send(&mut stream, std::mem::take(&mut responses))?;
                (fuel, bytes) = (0, 0);
            }
        }
        if !responses.is_empty() {
            send(&mut stream, responses)?;
        }
    }
    Ok(())
}

fn send(stream: &mut impl Write, responses: Vec<Response>) -> io::Result<()> {
    match frame::encode(&responses) {
        Ok(frame) => stream.write_all(&frame),
        Err(_) => {
            // One of them is larger than any frame; the rest is worth telling.
            let told = responses.into_iter().map(|response| {
                let bytes = response.bytes();
                if bytes < FRAME_BYTES_MAX as u64 / 2 {
                    return response;
                }
                Response::Failed(Fault::ReportTooLarge { bytes })
            });
            frame::write(stream, &told.collect::<Vec<_>>())
        }
    }
}

struct Worker {
    code: Code,
    recycler: Recycler,
    sessions: BTreeMap<SessionKey, Live>,
}

/// A session of this worker.
enum Live {
    Guest(Box<Guest>),
    /// Its guest died; what it used is still to be told.
    Dead(Usage),
}

impl Worker {
    fn answer(&mut self, request: Request) -> Response {
        let response = catch_unwind(AssertUnwindSafe(|| self.handle(request)));
        // What a panic left half-done is a guest of that request, and every
        // guest that a request touches is dropped by unwinding.
        response.unwrap_or(Response::Failed(Fault::Panicked))
    }

    fn handle(&mut self, request: Request) -> Response {
        let response = match request {
            Request::Execute(job) => self.execute(job).map(Response::Executed),
            Request::Start(key, spec) => self.start(spec).map(|guest| {
                self.sessions.insert(key, Live::Guest(Box::new(guest)));
                Response::Started
            }),
            Request::Step(key, step) => self.step(key, &step),
            Request::End(key) => self.end(key).map(Response::Ended),
            Request::Rehearse => {
                self.code.verifier().map(|verifier| Response::Rehearsed(verifier.rehearse()))
            }
            Request::Verify(outcome) => self
                .code
                .verifier()
                .and_then(|verifier| verifier.verify(&outcome))
                .map(Response::Verified),
        };
        response.unwrap_or_else(Response::Failed)
    }

    fn start(&mut self, spec: WireSpec) -> Result<Guest, Fault> {
        self.recycler.start(self.code.guests()?, spec)
    }

    fn execute(&mut self, job: WireJob) -> Result<WireReport, Fault> {
        let limits = job.spec.limits.unpack();
        let (job_fuel_max, job_bytes_max) = (limits.job_fuel_max(), limits.job_bytes_max());
        let mut guest = self.start(job.spec)?;
        let mut steps = Vec::with_capacity(job.steps.len());
        let (mut bytes, mut died) = (0_u64, false);
        for step in &job.steps {
            let report = guest.step(step, job_fuel_max.saturating_sub(guest.usage().fuel))?;
            let decided = steps.is_empty() && job.first_decides && !report.gave_value();
            bytes = bytes.saturating_add(report.bytes());
            died = report.is_fatal();
            let over = died || decided || bytes > job_bytes_max;
            steps.push(report);
            if over {
                break;
            }
        }
        let mut report = WireReport { steps, usage: guest.usage(), files: guest.files() };
        report.cut(job_bytes_max);
        if !died {
            self.recycler.keep(self.code.guests()?, guest)?;
        }
        Ok(report)
    }

    fn step(&mut self, key: SessionKey, step: &WireStep) -> Result<Response, Fault> {
        // Out of the map while it runs, so that a panic drops it.
        let mut guest = match self.sessions.remove(&key) {
            Some(Live::Guest(guest)) => guest,
            dead => {
                self.sessions.extend(dead.map(|dead| (key, dead)));
                return Err(Fault::SessionDead);
            }
        };
        let report = guest.step(step, u64::MAX)?;
        let live = if report.is_fatal() { Live::Dead(guest.usage()) } else { Live::Guest(guest) };
        self.sessions.insert(key, live);
        Ok(Response::Stepped(report))
    }

    fn end(&mut self, key: SessionKey) -> Result<Usage, Fault> {
        Ok(match self.sessions.remove(&key) {
            Some(Live::Guest(guest)) => {
                let usage = guest.usage();
                self.recycler.keep(self.code.guests()?, *guest)?;
                usage
            }
            Some(Live::Dead(usage)) => usage,
            None => Usage::default(),
        })
    }
}
