//! `certgate demo`: everything at once, with throw-away certificates, to see it work.
//!
//! It must not touch anything outside its own temporary folder and its own processes, and must
//! leave nothing behind, however it ends.

pub mod application;
pub mod client;
pub mod pki;
pub mod play;
pub mod programs;
pub mod scene;
pub mod shipped;
pub mod workshop;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use scene::{Scene, Tools};
use workshop::Workshop;

/// Show certgate at work: nginx, throw-away certificates, real requests
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  certgate demo             show the table and stay up, with curl lines to try
  certgate demo --once      end after the table")]
pub struct Demo {
    /// End after the table; exit code 0 only if every row is as expected
    #[arg(long)]
    pub once: bool,
}

/// How the demo speaks to the person in front of it.
pub type Say = fn(&str);

/// Runs the demo until it is done (`--once`) or somebody ends it.
///
/// SIGINT, SIGTERM and SIGHUP end the children and remove the folder first.
///
/// # Errors
/// nginx or openssl is not installed, or a step fails; everything is cleaned up all the same.
pub async fn run(demo: &Demo) -> Result<ExitCode> {
    let this_program = std::env::current_exe().context("find this program")?;
    run_with(demo, this_program).await
}

/// The demo of a given certgate program.
///
/// # Errors
/// As [`run`].
pub async fn run_with(demo: &Demo, certgate: PathBuf) -> Result<ExitCode> {
    let tools = Tools { certgate, nginx: installed("nginx")?, openssl: installed("openssl")? };
    // Listening comes before the first thing that would have to be cleaned up.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let workshop = Arc::new(Workshop::open("certgate-demo")?);

    // A thread of its own and not the runtime's: nobody waits for it when a signal comes.
    let (done, mut finished) = oneshot::channel();
    let in_thread = Arc::clone(&workshop);
    let once = demo.once;
    thread::Builder::new().name("demo".to_owned()).spawn(move || {
        // The receiver is gone only when a signal has ended the demo already.
        let _ = done.send(perform(&in_thread, &tools, once));
    })?;
    let stopped = Ok(ExitCode::SUCCESS);
    let result = tokio::select! {
        result = &mut finished => match result {
            Ok(result) => result,
            Err(_) => Err(anyhow!("the demo broke off")),
        },
        _ = interrupt.recv() => stopped,
        _ = terminate.recv() => stopped,
        _ = hang_up.recv() => stopped,
    };
    workshop.close();
    result
}

fn perform(workshop: &Workshop, tools: &Tools, once: bool) -> Result<ExitCode> {
    let scene = Scene::build(workshop, tools, say)?;
    let as_expected = play::play(&scene, say)?;
    if once {
        return Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    say(&what_to_try(&scene, tools));
    loop {
        // The signals end it; the children work on.
        thread::park();
    }
}

fn what_to_try(scene: &Scene<'_>, tools: &Tools) -> String {
    let (folder, url) = (scene.pki.file(""), format!("https://{}", scene.address));
    let folder = folder.display().to_string();
    let folder = folder.trim_end_matches('/');
    let certgate = scene::by_hand(tools, scene.config());
    format!(
        "
It stays up until you press Ctrl-C. Try it from another terminal:

  cd {folder}
  curl --cacert ca.pem --cert alice.pem --key alice.key {url}/
  curl --cacert ca.pem --cert alice.pem --key alice.key {url}/ops/
  curl --cacert ca.pem --cert bob.pem --key bob.key {url}/
  curl --cacert ca.pem {url}/

Give bob a user, and ask again as bob:

  {certgate} user add bob
  {certgate} mapping add bob --cert bob.pem

nginx's log: {}",
        scene.access_log().display()
    )
}

fn installed(name: &str) -> Result<PathBuf> {
    programs::find(name).with_context(|| {
        format!("{name} is not installed; on Debian and Ubuntu: sudo apt-get install {name}")
    })
}

/// Writes a line past the lock of standard output: the thread that called us may hold it, and
/// would hold it for as long as the demo runs.
///
/// A closed pipe is no reason to leave nginx running: the demo goes on and cleans up.
fn say(text: &str) {
    let line = format!("{text}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match nix::unistd::write(std::io::stdout(), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}
