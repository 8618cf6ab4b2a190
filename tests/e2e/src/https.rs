//! A web server with TLS that has one text for each host name.

use crate::remote::Identity;
use rustls::{ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// It serves until it is dropped.
pub struct Https {
    /// Where it listens.
    pub address: SocketAddr,
    stopping: Arc<AtomicBool>,
}

impl Https {
    /// Starts one; whatever is asked for, the answer is the host's text.
    pub fn start(identity: &Identity, texts: HashMap<String, String>) -> Https {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let (config, stop) = (identity.config(), Arc::clone(&stopping));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let Ok(socket) = socket else { continue };
                socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                answer(StreamOwned::new(connection, socket), &texts);
            }
        });
        Https { address, stopping }
    }
}

fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>, texts: &HashMap<String, String>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => request.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let host = request
        .lines()
        .find_map(|line| line.strip_prefix("host:"))
        .map(str::trim)
        .unwrap_or_default();
    let (status, text) = match texts.get(host) {
        Some(text) => ("200 OK", text.as_str()),
        None => ("404 Not Found", ""),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    drop(stream.write_all(answer.as_bytes()));
    stream.conn.send_close_notify();
    drop(stream.flush());
}

impl Drop for Https {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // So that it looks up.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
    }
}
