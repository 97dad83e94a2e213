//! `certgate demo`: it shows what it promises, beside another one, and leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use certgate::cli::demo::workshop::Workshop;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::certgate::program;

/// A demo whose temporary folder is inside the given one.
fn demo(folder: &Path, options: &[&str]) -> Child {
    let mut command = Command::new(program());
    command.arg("demo").args(options).env("TMPDIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
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
    for demo in demos {
        let output = demo.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{text}{errors}");
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
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        let stays_up = lines.any(|line| line.unwrap().contains("Ctrl-C"));
        assert!(stays_up, "{:?}", demo.wait());
        // certgate, nginx's master and its worker.
        assert_eq!(working_folders_in(folder.folder()).len(), 3);
        stop(&mut demo, signal);
        assert_nothing_is_left(folder.folder());
    }
}

#[test]
fn a_signal_in_the_middle_of_the_preparations_leaves_nothing_either() {
    for line in 0..4 {
        let folder = Workshop::open("certgate-demo-test").unwrap();
        let mut demo = demo(folder.folder(), &[]);
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        lines.nth(line).unwrap().unwrap();
        // Reading on keeps the demo from standing still at a full pipe.
        let reading = thread::spawn(move || lines.count());
        stop(&mut demo, Signal::SIGINT);
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
