//! One `tollgate serve` as a child process, in a folder of its own.
//!
//! Promises: `start` returns when the server has printed its addresses, or panics with all that it printed; `stop` is SIGTERM and a deadline.
//! The server says where it listens in lines of standard error: `listening udp ADDR:PORT` and `admin http://ADDR:PORT`.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// How long a server may take to start or to stop. Generous, since the machine may be busy; nobody waits longer than needed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A new folder for one server. Lies in cargo's own folder for tests, so nothing outlives `cargo clean`.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let unique = format!(
        "{name}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes `files` (path below `folder`, text), making the folders they need.
pub(crate) fn write_files(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// The `tollgate.toml` of a test: every port chosen by the kernel, one shard so that answers leave in the order of the questions.
pub(crate) fn node_toml(folder: &Path) -> String {
    let mut text = String::new();
    write!(
        text,
        "[node]\nname = \"test\"\nshards = 1\nstate_dir = {state:?}\ndrain_time = \"0s\"\n\n[[listen]]\nudp = \"127.0.0.1:0\"\n\n\
         [bundle]\npath = {bundle:?}\n\n[admin]\nhttp = \"127.0.0.1:0\"\n",
        state = folder.join("state"),
        bundle = folder.join("bundle"),
    )
    .unwrap();
    text
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it takes datagrams.
    pub(crate) udp: SocketAddr,
    /// Where it serves HTTP to operators.
    pub(crate) admin: SocketAddr,
    lines: mpsc::Receiver<String>,
    printed: String,
    stdout: thread::JoinHandle<String>,
}

/// What a server left behind.
pub(crate) struct Stopped {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Server {
    /// Starts `tollgate serve --config FOLDER/tollgate.toml` and waits until it listens.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// `start`, with more in its environment, and its own number as `WATCHDOG_PID`.
    pub(crate) fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        // The shell puts itself in the server's place, so that the number is the server's.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("export WATCHDOG_PID=$$; exec \"$0\" \"$@\"")
            .arg(env!("CARGO_BIN_EXE_tollgate"))
            .arg("serve")
            .arg("--config")
            .arg(folder.join("tollgate.toml"))
            .current_dir(folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let stdout = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ended = out.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let err = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let (mut udp, mut admin) = (None, None);
        let mut printed = String::new();
        while udp.is_none() || admin.is_none() {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                let _dead = child.kill();
                let status = child.wait();
                panic!(
                    "`tollgate serve` did not say `listening udp …` and `admin http://…`; it ended with {status:?} and printed:\n{printed}"
                );
            };
            udp = udp.or_else(|| {
                line.strip_prefix("listening udp ")
                    .and_then(|at| at.trim().parse().ok())
            });
            admin = admin.or_else(|| {
                let at = line.strip_prefix("admin http://")?;
                at.trim().trim_end_matches('/').parse().ok()
            });
            printed.push_str(&line);
            printed.push('\n');
        }
        Self {
            child,
            udp: udp.unwrap(),
            admin: admin.unwrap(),
            lines,
            printed,
            stdout,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it takes datagrams, all of it, as far as it has said so.
    pub(crate) fn listening(&self) -> Vec<SocketAddr> {
        self.printed
            .lines()
            .filter_map(|line| line.strip_prefix("listening udp ")?.trim().parse().ok())
            .collect()
    }

    /// Sends it a signal, `HUP` or `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for a line of standard error that holds `part`.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!(
                    "`tollgate serve` did not say {part:?}; it printed:\n{}",
                    self.printed
                );
            };
            self.printed.push_str(&line);
            self.printed.push('\n');
            if line.contains(part) {
                return line;
            }
        }
    }

    /// SIGTERM, then everything that it printed. Panics if it does not end in time.
    pub(crate) fn stop(self) -> Stopped {
        self.signal("TERM");
        self.ended()
    }

    /// Everything that it printed, once it has ended by what was done to it.
    pub(crate) fn ended(mut self) -> Stopped {
        // Standard error ends when the process does; waiting for its end is waiting with a deadline.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.printed.push_str(&line);
                    self.printed.push('\n');
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!(
                        "`tollgate serve` did not end within {PATIENCE:?}; it printed:\n{}",
                        self.printed
                    )
                }
            }
        }
        let status = self.child.wait().unwrap();
        let stdout = std::mem::replace(&mut self.stdout, thread::spawn(String::new))
            .join()
            .unwrap();
        Stopped {
            status,
            stdout,
            stderr: std::mem::take(&mut self.printed),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` the child is reaped and this does nothing.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A signal to one process of ours. The shell's own `kill`: std can only kill outright, and procps need not be there.
pub(crate) fn signal(pid: u32, name: &str) {
    let told = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .status()
        .unwrap();
    assert!(told.success(), "kill -{name} {pid}: {told}");
}
