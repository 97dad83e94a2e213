//! What the fuzz targets check, over every kept input: `tests/fixtures/fuzz/<target>/`.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is the library of the fuzz targets too")]
mod targets;

use targets::TARGETS;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz")
}

#[test]
fn every_kept_input_holds_what_its_target_checks() {
    for (name, check) in TARGETS {
        let mut count = 0;
        for file in fs::read_dir(fixtures().join(name)).unwrap() {
            let path = file.unwrap().path();
            // A panic of the check comes with this line above it.
            eprintln!("{}", path.display());
            check(&fs::read(path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{name} has no input");
    }
}

#[test]
fn every_folder_of_inputs_belongs_to_a_target() {
    for folder in fs::read_dir(fixtures()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "{name}");
    }
}
