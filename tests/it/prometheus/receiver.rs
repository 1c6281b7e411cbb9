//! A small HTTP server: a counter of its own scrapes, and a receiver that can be switched off.
#![expect(clippy::disallowed_methods, reason = "a server of its own threads on this machine")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const COUNTER: &str = "scrapes";

#[derive(Default)]
struct State {
    scraped: u64,
    received: BTreeSet<u64>,
    failed: u64,
    off: bool,
    problem: Option<String>,
}

pub struct Receiver {
    state: Arc<Mutex<State>>,
    /// Where: `127.0.0.1:41234`.
    pub address: String,
}

impl Receiver {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Receiver { state, address }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().expect("no panic in the server"))
    }

    /// How often the counter was scraped: the value of its newest sample.
    pub fn scraped(&self) -> u64 {
        self.with(|state| state.scraped)
    }

    pub fn newest(&self) -> u64 {
        self.with(|state| state.received.last().copied().unwrap_or_default())
    }

    /// Scrapes that failed, as the agent itself says: they are counted here and have no sample.
    pub fn failed(&self) -> u64 {
        self.with(|state| state.failed)
    }

    /// While it is off every write is answered with 503, which senders try again.
    pub fn switch(&self, on: bool) {
        self.with(|state| state.off = !on);
    }

    /// How many of the samples in a range did not arrive.
    ///
    /// # Panics
    /// Something arrived that is not understood.
    pub fn lost(&self, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.with(|state| {
            assert_eq!(state.problem, None);
            range.filter(|sample| !state.received.contains(sample)).count() as u64
        })
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_ascii_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        lines.read_exact(&mut body).ok()?;
        let (code, text) = answer(head.first()?, &body, &mut *state.lock().ok()?);
        write!(stream, "HTTP/1.1 {code}\r\nContent-Length: {}\r\nContent-Type: text/plain\r\n\r\n{text}", text.len())
            .ok()?;
    }
}

fn answer(request: &str, body: &[u8], state: &mut State) -> (&'static str, String) {
    if request.starts_with("get") {
        state.scraped += 1;
        return ("200 OK", format!("# TYPE {COUNTER} counter\n{COUNTER} {}\n", state.scraped));
    }
    if state.off {
        return ("503 Service Unavailable", String::new());
    }
    match unpacked(body).and_then(|bytes| samples(&bytes)) {
        Some(samples) => {
            let values = |name: &'static str| samples.iter().filter(move |(of, _)| of == name).map(|(_, value)| *value);
            state.received.extend(values(COUNTER));
            state.failed += values("up").filter(|up| *up == 0).count() as u64;
        }
        None => state.problem = Some(format!("a write of {} bytes is not understood", body.len())),
    }
    ("204 No Content", String::new())
}

/// Snappy's block format: <https://github.com/google/snappy/blob/main/format_description.txt>.
fn unpacked(mut packed: &[u8]) -> Option<Vec<u8>> {
    let size = varint(&mut packed)? as usize;
    let mut out = Vec::with_capacity(size);
    while let Some((&tag, rest)) = packed.split_first() {
        packed = rest;
        let high = usize::from(tag >> 2);
        let mut number = |bytes: usize| {
            let (number, rest) = packed.split_at_checked(bytes)?;
            packed = rest;
            Some(number.iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte)))
        };
        let (offset, length) = match tag & 3 {
            0 => {
                let length = if high < 60 { high } else { number(high - 59)? } + 1;
                let (text, rest) = packed.split_at_checked(length)?;
                out.extend_from_slice(text);
                packed = rest;
                continue;
            }
            1 => ((high >> 3) << 8 | number(1)?, (high & 7) + 4),
            2 => (number(2)?, high + 1),
            _ => (number(4)?, high + 1),
        };
        let start = out.len().checked_sub(offset).filter(|_| offset > 0)?;
        (start..start + length).for_each(|i| out.push(out[i]));
    }
    (out.len() == size).then_some(out)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The fields of a protobuf message: number, and bytes (of a number those of a 64-bit one, little end first).
fn fields(mut message: &[u8]) -> Option<Vec<(u64, Vec<u8>)>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let length = match key & 7 {
            0 => {
                found.push((key >> 3, varint(&mut message)?.to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut message)? as usize,
            5 => 4,
            _ => return None,
        };
        let (bytes, rest) = message.split_at_checked(length)?;
        found.push((key >> 3, bytes.to_vec()));
        message = rest;
    }
    Some(found)
}

/// Names and values in a `WriteRequest`: timeseries (1) with labels (1: name 1, value 2) and samples (2: value 1).
fn samples(request: &[u8]) -> Option<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for (_, series) in fields(request)?.into_iter().filter(|(number, _)| *number == 1) {
        let parts = fields(&series)?;
        let of =
            |wanted: u64| parts.iter().filter(move |(number, _)| *number == wanted).map(|(_, bytes)| fields(bytes));
        let mut labels = of(1).flatten();
        let name = labels.find(|label| label.contains(&(1, b"__name__".to_vec())))?;
        let name = String::from_utf8(name.into_iter().find(|(number, _)| *number == 2)?.1).ok()?;
        for sample in of(2) {
            // A number that is zero is left out of a message.
            let value = sample?.into_iter().find(|(number, _)| *number == 1);
            let value = value.map_or(Some(0.0), |(_, bytes)| Some(f64::from_le_bytes(bytes.try_into().ok()?)))?;
            // Not a number marks a series that is gone.
            found.extend((!value.is_nan()).then(|| (name.clone(), value as u64)));
        }
    }
    Some(found)
}
