//! The certgate program; everything is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A reload holds two directories for a moment. This allocator gives the room of the old one back
/// to the system; that of the C library keeps it (measured: twice the memory for ever after).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    certgate::cli::main()
}
