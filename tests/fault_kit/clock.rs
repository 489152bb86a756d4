//! Clocks of servers that are wrong: a server reads its clock through a library that adds what a file says.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is loaded in front of the C library.
#[derive(Clone)]
pub(crate) struct Clocks {
    library: PathBuf,
}

/// The clock of one server.
pub(crate) struct Clock {
    library: PathBuf,
    ahead: PathBuf,
}

impl Clocks {
    /// Built by the C compiler, which building the server takes as well.
    pub(crate) fn build(folder: &Path) -> Clocks {
        let library = folder.join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault_kit/clock.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        assert!(built.expect("a C compiler is there").success());
        Clocks { library }
    }

    /// One that is right, for now.
    pub(crate) fn right(&self, name: &str) -> Clock {
        let ahead = self.library.with_file_name(format!("clock-{name}"));
        std::fs::write(&ahead, 0_i64.to_ne_bytes()).unwrap();
        Clock { library: self.library.clone(), ahead }
    }
}

impl Clock {
    /// From now on.
    pub(crate) fn set_ahead(&self, ahead_s: i64) {
        // In place: a server has the file mapped.
        let mut file = OpenOptions::new().write(true).open(&self.ahead).unwrap();
        file.write_all(&ahead_s.to_ne_bytes()).unwrap();
    }

    pub(crate) fn put_on(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("GUERDON_TEST_CLOCK", &self.ahead);
    }
}
