//! Tools that the build or a group of tests needs: whether they are there, and how they are installed.
//!
//! As root, with apt-get, what the build lacks is installed. Otherwise the error names the one command that does it.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;
use crate::process;

/// A tool, how to see that it is there, and Debian's package of it.
pub(crate) struct Tool {
    name: &'static str,
    package: &'static str,
    check: Check,
}

/// How to see that a tool is there.
enum Check {
    /// One of these programs is on the `PATH`.
    Program(&'static [&'static str]),
    /// The C compiler finds this header.
    Header(&'static str),
}

/// What librdkafka, the Kafka client, is built with.
const BUILD: [Tool; 5] = [
    Tool::program("a C compiler", &["cc"], "gcc libc6-dev"),
    Tool::program("make", &["make"], "make"),
    // By it the build finds OpenSSL.
    Tool::program("pkg-config", &["pkg-config"], "pkg-config"),
    Tool::header("OpenSSL's headers", "openssl/ssl.h", "libssl-dev"),
    Tool::header("zlib's headers", "zlib.h", "zlib1g-dev"),
];

/// Makes sure that everything can be built.
pub(crate) fn for_build() -> Result<(), Error> {
    let missing = missing(&BUILD);
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("the build needs {}", names(&missing));
    if can_install() {
        install(&what, &missing)
    } else {
        Err(format!("{what}: install it with: {}", command(&missing)))
    }
}

impl Tool {
    /// A program by any of its names.
    pub(crate) const fn program(name: &'static str, programs: &'static [&'static str], package: &'static str) -> Self {
        Self { name, package, check: Check::Program(programs) }
    }

    const fn header(name: &'static str, header: &'static str, package: &'static str) -> Self {
        Self { name, package, check: Check::Header(header) }
    }

    fn is_there(&self) -> bool {
        match self.check {
            Check::Program(programs) => programs.iter().any(|program| is_on_path(program)),
            Check::Header(header) => finds_header(header),
        }
    }
}

/// Those of these tools that are not there.
pub(crate) fn missing(tools: &'static [Tool]) -> Vec<&'static Tool> {
    tools.iter().filter(|tool| !tool.is_there()).collect()
}

/// The tools' names, for people.
pub(crate) fn names(tools: &[&Tool]) -> String {
    tools.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ")
}

/// The one command that installs these tools.
pub(crate) fn command(tools: &[&Tool]) -> String {
    let packages: Vec<&str> = tools.iter().map(|tool| tool.package).collect();
    format!("apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Whether this process may install packages.
pub(crate) fn can_install() -> bool {
    is_root() && is_on_path("apt-get")
}

/// Installs these tools, and says so.
pub(crate) fn install(why: &str, tools: &[&Tool]) -> Result<(), Error> {
    let command = command(tools);
    process::say(&format!("xtask: {why}, which is installed now: {command}\n"));
    // Lists of packages may never have been fetched here; if they cannot be, those that are there may do.
    let _ = Command::new("apt-get").args(["update", "-q"]).stdout(Stdio::null()).status();
    let mut words = command.split(' ');
    let mut install = Command::new(words.next().unwrap_or("apt-get"));
    install.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    process::run(&mut install)
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether the preprocessor finds a header; if there is no compiler, that is what is missing.
fn finds_header(header: &str) -> bool {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let include = format!("__has_include(<{header}>)");
    let probe = env::temp_dir().join(format!("isotherm-xtask-{}.c", std::process::id()));
    if fs::write(&probe, format!("#if !{include}\n#error none\n#endif\n")).is_err() {
        return true;
    }
    let found = Command::new(compiler).arg("-E").arg(&probe).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let _ = fs::remove_file(&probe);
    found.map_or(true, |status| status.success())
}

/// Whether this process is root's, by the owner of its own entry in `/proc`.
fn is_root() -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
    }
    #[cfg(not(unix))]
    false
}
