//! A connection to a broker that can be slowed down or cut: what goes through it stands still, or breaks, until it is mended.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Forwards TCP connections to one address, on threads of its own, until it is dropped.
pub(crate) struct Proxy {
    port: u16,
    line: Arc<Line>,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing arrives and nobody is told: a cable is pulled. What was sent arrives when it is mended.
    Silent,
    /// Connections are reset, and new ones are closed at once.
    Reset,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    mended: Condvar,
}

#[derive(Default)]
struct State {
    cut: Option<Cut>,
    /// How long everything is on its way, in each direction.
    delay: Duration,
    is_over: bool,
    /// Both ends of every connection.
    streams: Vec<TcpStream>,
    /// Bytes that have passed.
    passed: u64,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Listens on a free port.
    pub(crate) fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line::default());
        let accepting = line.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if accepting.lock().is_over {
                    return;
                }
                connect(&accepting, &stream, &target);
            }
        });
        Self { port, line }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every connection, and those to come. Returns how many there were.
    pub(crate) fn cut(&self, how: Cut) -> usize {
        let mut state = self.line.lock();
        let connections = state.streams.len() / 2;
        state.cut = Some(how);
        if how == Cut::Reset {
            state.close_all();
        }
        connections
    }

    /// Lets everything arrive later by so much, in each direction.
    pub(crate) fn delay(&self, delay: Duration) {
        self.line.lock().delay = delay;
    }

    /// Lets everything pass again.
    pub(crate) fn mend(&self) {
        self.line.lock().cut = None;
        self.line.mended.notify_all();
    }

    /// Bytes that have passed so far.
    pub(crate) fn passed(&self) -> u64 {
        self.line.lock().passed
    }
}

impl State {
    fn close_all(&mut self) {
        for stream in self.streams.drain(..) {
            // The other side may have closed it.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.is_over = true;
        state.cut = None;
        state.close_all();
        drop(state);
        self.line.mended.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn connect(line: &Arc<Line>, stream: &TcpStream, target: &str) {
    if line.lock().cut == Some(Cut::Reset) {
        return;
    }
    let Ok(other) = TcpStream::connect(target) else { return };
    for (from, to) in [(stream, &other), (&other, stream)] {
        let (Ok(from), Ok(to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone()) else {
            return;
        };
        line.lock().streams.push(kept);
        let line = line.clone();
        std::thread::spawn(move || forward(&line, from, to));
    }
}

/// Forwards one direction until either side ends.
fn forward(line: &Line, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let mut state = line.lock();
        while state.cut == Some(Cut::Silent) {
            state = line.mended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.passed += read as u64;
        let delay = state.delay;
        drop(state);
        std::thread::sleep(delay);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
