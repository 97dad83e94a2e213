//! A service that a test starts and ends by itself, to see how it ends.

use std::process::{Child, Command, ExitStatus, Stdio};

use certgate::cli::demo::programs;

use super::certgate::{Certgate, program};

/// The service, ended by SIGTERM if the test has not done so.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Starts the service of one that is stopped; what it logs can be read at the end.
    pub(crate) fn of(stopped: &Certgate) -> Self {
        let mut command = programs::certgate(&program(), &stopped.config());
        Self::start(command.arg("serve").stdin(Stdio::null()).stderr(Stdio::piped()))
    }

    pub(crate) fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// How it ended, and what it logged if that is kept.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut log).unwrap();
        }
        (self.0.wait().unwrap(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.terminate();
            let _ = self.0.wait();
        }
    }
}
