//! `certgate demo`: it shows what it promises, beside another one, and leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use certgate::cli::demo::workshop::{self, Workshop};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::certgate::program;

/// A running demo; a test that fails does not leave it behind.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        workshop::end(&mut self.0);
    }
}

/// A demo whose temporary folder is inside the given one.
fn demo(folder: &Path, options: &[&str]) -> Demo {
    let mut command = Command::new(program());
    command.arg("demo").args(options).env("TMPDIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Demo(command.spawn().unwrap())
}

fn contents(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The working folders inside the folder that some process has, one for each process.
fn working_folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap();
    // Most entries are no processes, and a process may be gone by now.
    let all = entries.filter_map(|entry| fs::read_link(entry.ok()?.path().join("cwd")).ok());
    all.filter(|working_folder| working_folder.starts_with(folder)).collect()
}

fn assert_nothing_is_left(folder: &Path) {
    assert_eq!(contents(folder), Vec::<PathBuf>::new());
    assert_eq!(working_folders_in(folder), Vec::<PathBuf>::new());
}

#[test]
fn two_demos_at_the_same_time_both_show_every_row_as_expected() {
    let folder = Workshop::open("certgate demo test").unwrap();
    let demos = [demo(folder.folder(), &["--once"]), demo(folder.folder(), &["--once"])];
    for mut demo in demos {
        let (mut text, mut errors) = (String::new(), String::new());
        demo.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        demo.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(demo.0.wait().unwrap().code(), Some(0), "{text}{errors}");
        for who in ["alice", "bob", "carol", "mallory", "nobody", "forger"] {
            assert!(text.contains(&format!(" {who} ")), "{text}");
        }
        assert!(text.contains("resumed") && !text.contains("WRONG"), "{text}");
    }
    assert_nothing_is_left(folder.folder());
}

#[test]
fn a_signal_ends_everything_that_the_demo_started() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let folder = Workshop::open("certgate-demo-test").unwrap();
        let mut demo = demo(folder.folder(), &[]);
        let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
        let stays_up = lines.any(|line| line.unwrap().contains("Ctrl-C"));
        assert!(stays_up);
        // certgate, nginx's master and its worker.
        assert_eq!(working_folders_in(folder.folder()).len(), 3);
        stop(&mut demo.0, signal);
        assert_nothing_is_left(folder.folder());
    }
}

#[test]
fn a_signal_in_the_middle_of_the_preparations_leaves_nothing_either() {
    for line in 0..4 {
        let folder = Workshop::open("certgate-demo-test").unwrap();
        let mut demo = demo(folder.folder(), &[]);
        let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
        lines.nth(line).unwrap().unwrap();
        // Reading on keeps the demo from standing still at a full pipe.
        let reading = thread::spawn(move || lines.count());
        stop(&mut demo.0, Signal::SIGINT);
        reading.join().unwrap();
        assert_nothing_is_left(folder.folder());
    }
}

fn stop(demo: &mut Child, signal: Signal) {
    kill(Pid::from_raw(demo.id().try_into().unwrap()), signal).unwrap();
    let start = Instant::now();
    while demo.try_wait().unwrap().is_none() {
        if start.elapsed() > STOP_DEADLINE {
            demo.kill().unwrap();
            panic!("the demo does not stop");
        }
        thread::sleep(Duration::from_millis(10));
    }
    let mut errors = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
}

/// nginx and certgate have five seconds each.
const STOP_DEADLINE: Duration = Duration::from_secs(12);
