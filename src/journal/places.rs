//! Where fleet keeps what it remembers.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// fleet's own folders on the machine it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Runs; what is lost here is lost.
    pub state: PathBuf,
    /// What can be gathered again.
    pub cache: PathBuf,
}

impl Places {
    /// The folders by the XDG rules, given a way to read the environment. Relative paths there are ignored.
    pub fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let place = |name: &str, below_home: &str| match (folder(name), folder("HOME")) {
            (Some(base), _) => Ok(base.join("fleet")),
            (None, Some(home)) => Ok(home.join(below_home).join("fleet")),
            (None, None) => Err(Error::usage(format!("neither {name} nor HOME names a folder"))
                .hint(format!("set {name} to a folder where fleet may keep its runs"))),
        };
        Ok(Self { state: place("XDG_STATE_HOME", ".local/state")?, cache: place("XDG_CACHE_HOME", ".cache")? })
    }

    /// The folder of all runs.
    pub fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides() {
        let read = |set: &'static [(&str, &str)]| {
            Places::from_env(move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        let places = read(&[("HOME", "/h")]).unwrap();
        assert_eq!((places.state, places.cache), ("/h/.local/state/fleet".into(), "/h/.cache/fleet".into()));
        let places = read(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s"), ("XDG_CACHE_HOME", "relative")]).unwrap();
        assert_eq!((places.state, places.cache), ("/s/fleet".into(), "/h/.cache/fleet".into()));
        let error = read(&[("HOME", "")]).unwrap_err();
        assert_eq!(error.kind.exit_code(), 2);
        assert!(error.message.contains("XDG_STATE_HOME"), "{error}");
    }
}
