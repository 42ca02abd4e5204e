//! Passwords from a terminal, where they are not shown, or from standard input.

use std::io::{self, IsTerminal, Read, Write};

use anyhow::{Context, bail, ensure};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::control::accounts::passwords::PASSWORD_BYTES_MAX;

/// What Ctrl-C sends where it is not a signal.
const CTRL_C: u8 = 3;

/// The first line of standard input, without its end.
pub(super) fn from_stdin() -> anyhow::Result<String> {
    line().context("read a password from standard input")
}

/// Asks on the terminal, twice, so that nobody is locked out by a slip.
pub(super) fn ask_twice() -> anyhow::Result<String> {
    ensure!(io::stdin().is_terminal(), "there is no terminal to ask for a password: use --password-stdin");
    let password = ask("Password: ")?;
    ensure!(password == ask("The same again: ")?, "the two passwords differ");
    Ok(password)
}

fn ask(prompt: &str) -> anyhow::Result<String> {
    let mut error = io::stderr().lock();
    error.write_all(prompt.as_bytes())?;
    error.flush()?;
    let hidden = Hidden::new()?;
    let typed = line();
    drop(hidden);
    error.write_all(b"\n")?;
    typed
}

/// One line, of which no more is read than a password may have.
fn line() -> anyhow::Result<String> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().bytes().take(PASSWORD_BYTES_MAX + 2) {
        match byte? {
            b'\n' => break,
            // It ends the line on the terminal too, but is no end of a line to the standard library.
            CTRL_C => bail!("cancelled"),
            byte => line.push(byte),
        }
    }
    let text = String::from_utf8(line).context("expected UTF-8 text")?;
    Ok(text.trim_end_matches('\r').to_owned())
}

/// Keeps the terminal from showing what is typed. Ctrl-C ends the line instead of the process meanwhile, so that the
/// terminal is always left as it was.
struct Hidden(Termios);

impl Hidden {
    fn new() -> anyhow::Result<Self> {
        let before = tcgetattr(io::stdin()).context("read the state of the terminal")?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden).context("hide what is typed")?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0) {
            tracing::warn!(%error, "the terminal still hides what is typed");
        }
    }
}
