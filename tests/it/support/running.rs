//! A service that a test starts and ends by itself, to see how it ends.

use std::io::Read as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use certgate::cli::demo::programs;

use super::certgate::{Certgate, program};

/// Longest wait for an end; drained is within 10 s.
const END_DEADLINE: Duration = Duration::from_secs(20);

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

    /// How it ended, and what it logged if that is kept. It has to end soon.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let stderr = self.0.stderr.take();
        let log = thread::spawn(move || {
            let mut log = String::new();
            stderr.map(|mut stderr| stderr.read_to_string(&mut log).unwrap());
            log
        });
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            if began.elapsed() > END_DEADLINE {
                self.0.kill().unwrap();
                panic!("still there after {END_DEADLINE:?}: {}", log.join().unwrap());
            }
            thread::sleep(Duration::from_millis(10));
        };
        (status, log.join().unwrap())
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
