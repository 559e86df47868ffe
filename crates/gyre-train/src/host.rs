//! The machine and the project in which external programs run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{ProcessError, SupervisorProgram};

/// The variables that every program gets where they are set: where programs,
/// libraries and caches lie, which GPU may be used, and the language of messages.
/// Trainers and servers cannot work without them, and none holds a secret.
pub const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "TORCH_HOME",
    "TRITON_CACHE_DIR",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
];

/// What the binary knows of the machine and of itself.
#[derive(Debug, Clone)]
pub struct Host {
    /// The folder of the configuration: what `{project}` stands for.
    pub project: PathBuf,
    /// The variables of Gyre's own environment, from which programs get some.
    pub environment: BTreeMap<String, String>,
    /// The program that stands between Gyre and what it starts.
    pub supervisor: SupervisorProgram,
}

impl Host {
    /// The environment of a program: [`PASSED_ON`], and what is named.
    pub(crate) fn environment_of(
        &self,
        named: &[String],
    ) -> Result<BTreeMap<OsString, OsString>, ProcessError> {
        let mut own = BTreeMap::new();
        for name in PASSED_ON {
            if let Some(value) = self.environment.get(*name) {
                own.insert(name.into(), value.into());
            }
        }
        // Python buffers lines to a pipe, and progress would arrive late.
        own.insert("PYTHONUNBUFFERED".into(), "1".into());
        for name in named {
            let value = self.environment.get(name);
            let value = value.ok_or_else(|| ProcessError::NotSet { name: name.clone() })?;
            own.insert(name.into(), value.into());
        }
        Ok(own)
    }

    /// A program of the project by its relative path, or one that PATH leads to.
    pub(crate) fn program(&self, name: OsString) -> OsString {
        let path = Path::new(&name);
        let is_relative_path = path.is_relative() && path.components().count() > 1;
        if is_relative_path { self.project().join(path).into_os_string() } else { name }
    }

    /// The project's folder, wherever a program works.
    pub(crate) fn project(&self) -> PathBuf {
        absolute(&self.project)
    }
}

/// A path for a program that works in another folder than Gyre.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    // Only where the system does not tell the folder that Gyre works in.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_sees_what_is_listed_and_nothing_else() {
        let environment = [("PATH", "/bin"), ("HOME", "/h"), ("SECRET", "s"), ("TOKEN", "t")];
        let host = Host {
            project: "/p".into(),
            environment: environment.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            supervisor: SupervisorProgram { path: "/g".into(), arguments: vec![] },
        };
        let own = host.environment_of(&["TOKEN".to_owned()]).unwrap();
        let own: Vec<_> = own.keys().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(own, ["HOME", "PATH", "PYTHONUNBUFFERED", "TOKEN"]);
        assert_eq!(
            host.environment_of(&["HF_TOKEN".to_owned()]).unwrap_err().to_string(),
            "HF_TOKEN is listed under env but is not set; set it, or remove it from the list"
        );
        assert_eq!(host.program("python3".into()), "python3");
        assert_eq!(host.program("venv/bin/python".into()), "/p/venv/bin/python");
        assert_eq!(host.program("./train".into()), "/p/./train");
        let here = Host { project: PathBuf::new(), ..host.clone() };
        assert!(Path::new(&here.program("./train".into())).is_absolute());
        assert_eq!(host.program("/usr/bin/env".into()), "/usr/bin/env");
    }
}
