//! Why tests fail, in classes: by the exception that a test ended with.

/// A class of failures.
pub(crate) struct Reason {
    pub(crate) name: &'static str,
    pub(crate) means: &'static str,
    /// Parts of an exception's text that tell this class.
    signs: &'static [&'static str],
}

/// In the order in which they are tried. The last takes what is left.
pub(crate) const REASONS: &[Reason] = &[
    Reason {
        name: "fuel",
        means: "the test burns more than the fuel of one guest, or never ends because what it \
                waits for is not there",
        signs: &["ran out of fuel", "too many host calls", "wrote too much output"],
    },
    Reason {
        name: "memory",
        means: "the test takes more memory than the guest has",
        signs: &["ran out of memory", "MemoryError"],
    },
    Reason {
        name: "trap",
        means: "the test ends the guest: it asks for what the host does not offer, uses up the \
                stack in C code, or crashes this release where a later one was mended",
        signs: &["ends the guest"],
    },
    Reason {
        name: "threads",
        means: "there are no threads",
        signs: &["start new thread", "start_joinable_thread"],
    },
    Reason {
        name: "module",
        means: "a module is missing that is made of C code or of the operating system: sockets, \
                processes, `ctypes`, compressors, test-only extensions",
        signs: &["ModuleNotFoundError", "ImportError", "has no attribute 'fork'"],
    },
    Reason {
        name: "files",
        means: "the workspace is small and has no links, permissions or devices, and the image \
                keeps no sources of the library",
        signs: &[
            "[Errno",
            "OSError",
            "FileNotFoundError",
            "PermissionError",
            "UnsupportedOperation",
            "could not get source",
        ],
    },
    Reason {
        name: "platform",
        means: "WASI has no such function, locale, time zone or codec",
        signs: &[
            "module 'os' has no attribute",
            "module 'time' has no attribute",
            "module 'signal' has no attribute",
            "unknown encoding",
            "locale",
            "NotImplementedError",
        ],
    },
    Reason {
        name: "recursion",
        means: "the bound on recursion is met earlier than the test expects, since the stack is \
                smaller",
        signs: &["RecursionError"],
    },
    Reason {
        name: "release",
        means: "the test expects what a later release than the guest's does, or another message; \
                what is left over is here too",
        signs: &[""],
    },
];

/// The class of a failure.
pub(crate) fn of(why: &str) -> &'static Reason {
    let told = |reason: &&Reason| reason.signs.iter().any(|sign| why.contains(sign));
    REASONS.iter().find(told).unwrap_or(&REASONS[REASONS.len() - 1])
}
