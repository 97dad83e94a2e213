//! A folder and the processes that work in it; both are gone when it is closed.
//!
//! It must not end anything that it did not start: processes are ended by their own id.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// The folder and its processes. Closing waits for the command that is running just now, and
/// nothing can be started in it afterwards.
#[derive(Debug)]
pub struct Workshop {
    folder: PathBuf,
    crew: Mutex<Crew>,
}

#[derive(Debug, Default)]
struct Crew {
    closed: bool,
    children: Vec<(&'static str, Child)>,
}

impl Workshop {
    /// Makes a new folder of this name and a number under the system's folder for such things.
    ///
    /// Others may pass through it (nginx's workers run under another user) but not list it.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(name: &str) -> Result<Self> {
        let parent = std::env::temp_dir();
        for number in 0..FOLDER_ATTEMPTS {
            let folder = parent.join(format!("{name}-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o711).create(&folder) {
                Ok(()) => return Ok(Self { folder, crew: Mutex::default() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("make {}", folder.display()));
                }
            }
        }
        bail!("{} is full of folders named {name}-*", parent.display())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command to its end and returns what it wrote.
    ///
    /// # Errors
    /// It cannot be started, or it fails; then its last words are in the error.
    pub fn run(&self, command: &mut Command) -> Result<Output> {
        let name = command.get_program().to_string_lossy().into_owned();
        let crew = self.crew();
        ensure!(!crew.closed, "stopped");
        let output = command.stdin(Stdio::null()).process_group(0).output();
        let output = output.with_context(|| format!("run {name}"))?;
        drop(crew);
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{command:?} failed ({}): {}", output.status, words.trim());
        }
        Ok(output)
    }

    /// Starts a process that stays. What it writes goes into `<name>.log` in the folder.
    ///
    /// It gets a process group of its own: Ctrl-C on the terminal reaches us alone, and we end
    /// the processes in their order.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self, name: &'static str, command: &mut Command) -> Result<()> {
        let mut crew = self.crew();
        ensure!(!crew.closed, "stopped");
        let log = fs::File::create(self.folder.join(format!("{name}.log")))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        crew.children.push((name, child));
        Ok(())
    }

    /// Asks until the answer is good; gives up when the process has ended or time is over.
    ///
    /// # Errors
    /// Says which process did not come up and why the last question failed, with the end of
    /// its log.
    pub fn wait_for<Ask>(&self, name: &'static str, mut ask: Ask) -> Result<()>
    where
        Ask: FnMut() -> Result<()>,
    {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended(name)? {
                bail!("{name} ended ({status}): {}", self.last_words(name));
            }
            let Err(why) = ask() else { return Ok(()) };
            if start.elapsed() > READY_DEADLINE {
                let words = self.last_words(name);
                bail!("{name} is not ready after {READY_DEADLINE:?}: {why:#}: {words}");
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The id of a process that was started here.
    pub fn process_id(&self, name: &str) -> Option<u32> {
        self.crew().children.iter().find(|(other, _)| *other == name).map(|(_, child)| child.id())
    }

    /// Ends one process and forgets it.
    pub fn stop(&self, name: &str) {
        let mut crew = self.crew();
        let Some(index) = crew.children.iter().position(|(other, _)| *other == name) else {
            return;
        };
        let (_, mut child) = crew.children.remove(index);
        end(&mut child);
    }

    /// Ends all processes, the youngest first, and removes the folder. Safe to call twice.
    pub fn close(&self) {
        let mut crew = self.crew();
        crew.closed = true;
        while let Some((_, mut child)) = crew.children.pop() {
            end(&mut child);
        }
        // Already gone, or not ours to force: there is nobody left to tell.
        let _ = fs::remove_dir_all(&self.folder);
    }

    fn ended(&self, name: &str) -> Result<Option<ExitStatus>> {
        let mut crew = self.crew();
        ensure!(!crew.closed, "stopped");
        let child = crew.children.iter_mut().find(|(other, _)| *other == name);
        let (_, child) = child.with_context(|| format!("{name} was not started"))?;
        Ok(child.try_wait()?)
    }

    fn last_words(&self, name: &str) -> String {
        let text = fs::read(self.folder.join(format!("{name}.log"))).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let start = lines.len().saturating_sub(LAST_WORDS_LINES);
        lines.get(start..).unwrap_or_default().join("\n")
    }

    /// A thread that panicked while it held the lock leaves a list of children all the same.
    fn crew(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.close();
    }
}

/// Asks a process to end, waits, and ends its whole group by force if it does not.
///
/// One that has ended already is left alone: its id may be somebody else's by now.
pub fn end(child: &mut Child) {
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let Ok(id) = i32::try_from(child.id()).map(Pid::from_raw) else {
        return;
    };
    if kill(id, Signal::SIGTERM) == Err(Errno::ESRCH) {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < END_DEADLINE {
        match child.try_wait() {
            Ok(None) => thread::sleep(POLL_INTERVAL),
            Ok(Some(_)) | Err(_) => return,
        }
    }
    // The group, not the process alone: nginx's workers would outlive their master.
    let _ = killpg(id, Signal::SIGKILL);
    let _ = child.wait();
}

/// A leftover folder of an earlier process with our id may be there.
const FOLDER_ATTEMPTS: u32 = 100;
/// Generous: nginx retries a busy port for 2.5 s, and the machine may be loaded.
const READY_DEADLINE: Duration = Duration::from_secs(15);
/// A fast shutdown of nginx and a drain of certgate both take less.
const END_DEADLINE: Duration = Duration::from_secs(5);
/// Short enough not to be felt.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Enough to hold the sentence that says why.
const LAST_WORDS_LINES: usize = 12;
