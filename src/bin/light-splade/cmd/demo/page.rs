//! The last step: the service with its page.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::call::{call, typed};
use super::data::DemoData;
use crate::args::DemoArgs;
use crate::interrupt;
use crate::output::print_text;

/// The port of the service, if nothing else listens there.
const PORT: u16 = 3000;

/// How long the browser waits for the service, which loads the model first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the service on a terminal or if a browser is to be opened, until Ctrl-C; elsewhere says
/// how it is started.
pub(super) fn show(number: usize, args: &DemoArgs, program: &Path, data: &DemoData) -> Result<()> {
    let is_shown = args.open || (std::io::stdout().is_terminal() && std::io::stdin().is_terminal());
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/ui");
    let command: Vec<OsString> = [
        "serve".into(),
        "--index".into(),
        data.index().into_os_string(),
        "--port".into(),
        port.to_string().into(),
    ]
    .into();
    print_text(&format!("\n{number}. Open the page of the service\n\n$ {}\n", typed(&command)))?;
    if args.no_page || !is_shown {
        return print_text(&format!("\nThe page is at {url} then.\n"));
    }
    print_text(&format!("\nThe page is at {url}. Press Ctrl-C to end the service.\n"))?;
    if args.open {
        std::thread::spawn(move || open_when_ready(port, &url));
    }
    call(program, &command).or_else(|error| if interrupt::asked() { Ok(()) } else { Err(error) })
}

/// Returns [`PORT`], or another port if something listens there.
fn free_port() -> u16 {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|it| it.local_addr());
    at(PORT).or_else(|_| at(0)).map_or(PORT, |address| address.port())
}

/// Opens the page in the browser of the user as soon as the service accepts connections.
fn open_when_ready(port: u16, url: &str) {
    let began = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if began.elapsed() > PATIENCE || interrupt::asked() {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let opener = match std::env::consts::OS {
        "macos" => {
            Command::new("open").arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        }
        "windows" => Command::new("explorer").arg(url).spawn(),
        _ => Command::new("xdg-open").arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn(),
    };
    // The address was printed: without a browser, nothing is lost.
    if let Ok(mut opener) = opener {
        _ = opener.wait();
    }
}
