//! Many connections at once, all in one thread.

use super::operations::thousands;
use super::{Letters, Login};
use crate::record::Record;
use anyhow::{Context, Result, ensure};
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;

/// Connections from one address: servers bound them.
const PER_ADDRESS: usize = 100;
/// Logins under way at once while connections are built up.
const ENTERING: usize = 32;

/// `idlers`
#[derive(Clone, clap::Args)]
pub struct Idlers {
    /// Connections.
    #[arg(long, default_value_t = 20_000)]
    connections: usize,
    /// Users `%n` = 0, 1, 2 …, who share the connections.
    #[arg(long, default_value_t = 500)]
    users: usize,
    /// New messages whose arrival is timed.
    #[arg(long, default_value_t = 200)]
    news: usize,
    /// The server's processes: all whose command line holds this text.
    #[arg(long, required = true)]
    matching: Vec<String>,
}

/// `logins`
#[derive(Clone, clap::Args)]
pub struct Logins {
    /// Logins.
    #[arg(long, default_value_t = 4000)]
    count: usize,
    /// Connections at once.
    #[arg(long, default_value_t = 20)]
    sessions: usize,
    /// Users `%n` = 0, 1, 2 …
    #[arg(long, default_value_t = 20)]
    users: usize,
}

/// `readers`
#[derive(Clone, clap::Args)]
pub struct Readers {
    /// Clients.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Users `%n` = 0, 1, 2 …, who share the clients.
    #[arg(long, default_value_t = 20)]
    users: usize,
    /// Messages in everybody's INBOX.
    #[arg(long, default_value_t = 1000)]
    messages: usize,
    /// Commands of each client.
    #[arg(long, default_value_t = 100)]
    commands: usize,
}

/// A connection, its address chosen by its number.
struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
    tag: u32,
}

impl Client {
    async fn connect(address: SocketAddr, number: usize) -> Result<Client> {
        let socket = TcpSocket::new_v4()?;
        let host = 1 + number / PER_ADDRESS;
        let [high, low] = u16::try_from(host)?.to_be_bytes();
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 1, high, low), 0)))?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Client {
            stream,
            heard: Vec::new(),
            tag: 0,
        };
        client.hear(b"* OK").await.context("no greeting")?;
        Ok(client)
    }

    /// Reads until the last line begins with this; gives how many octets came.
    async fn hear(&mut self, start: &[u8]) -> Result<usize> {
        let mut octets = 0;
        self.heard.clear();
        loop {
            self.heard.reserve(4096);
            let count = self.stream.read_buf(&mut self.heard).await?;
            ensure!(
                count > 0,
                "the server hung up: {}",
                String::from_utf8_lossy(&self.heard)
            );
            octets += count;
            if let Some(text) = self.heard.strip_suffix(b"\r\n") {
                let begin = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
                if text.get(begin..).is_some_and(|line| line.starts_with(start)) {
                    self.heard.drain(..begin);
                    return Ok(octets);
                }
            }
            if self.heard.len() > 1 << 16 {
                self.heard.drain(..self.heard.len() - 4096);
            }
        }
    }

    async fn command(&mut self, command: &str) -> Result<usize> {
        self.tag += 1;
        let tag = format!("m{} ", self.tag);
        self.stream.write_all(format!("{tag}{command}\r\n").as_bytes()).await?;
        let octets = self.hear(tag.as_bytes()).await?;
        ensure!(
            self.heard.get(tag.len()..).is_some_and(|l| l.starts_with(b"OK")),
            "{command}: {}",
            String::from_utf8_lossy(&self.heard)
        );
        Ok(octets)
    }

    async fn enter(address: SocketAddr, number: usize, login: &Login, user: usize) -> Result<Client> {
        let mut client = Client::connect(address, number).await?;
        client
            .command(&format!("LOGIN \"{}\" \"{}\"", login.user(user), login.password))
            .await?;
        Ok(client)
    }

    async fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<()> {
        self.stream
            .write_all(format!("app APPEND {mailbox} {{{}}}\r\n", message.len()).as_bytes())
            .await?;
        self.hear(b"+").await?;
        let mut all = message.to_vec();
        all.extend_from_slice(b"\r\n");
        self.stream.write_all(&all).await?;
        self.hear(b"app OK").await?;
        Ok(())
    }
}

fn start() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// `idlers`
pub fn idlers(server: &str, login: &Login, many: &Idlers) -> Result<Record> {
    let address: SocketAddr = login.imap.parse().context("--imap wants an address and a port")?;
    let local = LocalSet::new();
    local.block_on(&start()?, async {
        // Every account is opened once before the memory is measured first: what an account takes is not what a connection takes.
        let users = many.users.min(many.connections).max(1);
        for user in 0..users {
            let mut client = Client::enter(address, user, login, user).await?;
            client.command("SELECT INBOX").await?;
        }
        let before = crate::process::memory(&many.matching)?;
        let begun = Instant::now();
        let turns = Rc::new(Semaphore::new(ENTERING));
        let (told, mut news) = mpsc::unbounded_channel::<(usize, Instant)>();
        let (ready, mut readies) = mpsc::unbounded_channel::<Result<()>>();
        for number in 0..many.connections {
            let (turns, told, ready) = (Rc::clone(&turns), told.clone(), ready.clone());
            let login = login.clone();
            tokio::task::spawn_local(async move {
                let entered = async {
                    let _turn = turns.acquire().await?;
                    let user = number % users;
                    let mut client = Client::enter(address, number, &login, user).await?;
                    client.command("SELECT INBOX").await?;
                    client.stream.write_all(b"i IDLE\r\n").await?;
                    client.hear(b"+").await?;
                    Ok((client, user))
                };
                match entered.await {
                    Ok((client, user)) => {
                        let _ = ready.send(Ok(()));
                        listen(client.stream, user, &told).await;
                    }
                    Err(e) => {
                        let _ = ready.send(Err(e));
                    }
                }
            });
        }
        for _ in 0..many.connections {
            readies.recv().await.context("nobody is left")??;
        }
        let entered = begun.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = crate::process::memory(&many.matching)?;

        // --- News
        let mut letters = Letters::new("idlers");
        let mut sender = Vec::new();
        for user in 0..users.min(50) {
            sender.push(Client::enter(address, user, login, user).await?);
        }
        let mut took = Vec::new();
        for n in 0..many.news {
            let user = n % sender.len();
            let Some(client) = sender.get_mut(user) else { break };
            let expected = (user..many.connections).step_by(users).count();
            let text = letters.write(n, 2048).to_vec();
            let sent = Instant::now();
            client.append("INBOX", &text).await?;
            let mut heard = 0;
            while heard < expected {
                let (who, when) = tokio::time::timeout(Duration::from_secs(30), news.recv())
                    .await
                    .context("an idling client was not told within 30 s")?
                    .context("nobody is left")?;
                if who == user {
                    heard += 1;
                    took.push(when.duration_since(sent).as_secs_f64() * 1000.0);
                }
            }
        }
        took.sort_by(f64::total_cmp);
        let words = format!("IMAP, {} idle connections", thousands(many.connections));
        Ok(Record::new(server, words)
            .with("KiB of PSS each", (after.pss - before.pss) / many.connections as f64)
            .with("entered per second", many.connections as f64 / entered)
            .with("new mail to an idling client, ms, p50", at(&took, 0.5))
            .with("new mail to an idling client, ms, p99", at(&took, 0.99)))
    })
}

/// Says when somebody is told of new mail.
async fn listen(mut stream: TcpStream, user: usize, told: &mpsc::UnboundedSender<(usize, Instant)>) {
    loop {
        // A buffer only while there is something: 20,000 of them would be this program's own weight.
        if stream.readable().await.is_err() {
            return;
        }
        let mut buffer = [0; 1024];
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let lines = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
                if lines.contains(" EXISTS") && told.send((user, Instant::now())).is_err() {
                    return;
                }
                // Dovecot says "* OK Still here" now and then.
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        let _ = stream.flush().await;
    }
}

/// `logins`
pub fn logins(server: &str, login: &Login, many: &Logins) -> Result<Record> {
    let address: SocketAddr = login.imap.parse().context("--imap wants an address and a port")?;
    let local = LocalSet::new();
    local.block_on(&start()?, async {
        for user in 0..many.users {
            Client::enter(address, user, login, user).await?;
        }
        let next = Rc::new(Cell::new(0));
        let took = Rc::new(RefCell::new(Vec::new()));
        let begun = Instant::now();
        let mut sessions = Vec::new();
        for _ in 0..many.sessions {
            let (next, took, login, many) = (Rc::clone(&next), Rc::clone(&took), login.clone(), many.clone());
            sessions.push(tokio::task::spawn_local(async move {
                loop {
                    let n = next.get();
                    if n >= many.count {
                        return Ok::<(), anyhow::Error>(());
                    }
                    next.set(n + 1);
                    let begun = Instant::now();
                    Client::enter(address, n, &login, n % many.users).await?;
                    took.borrow_mut().push(begun.elapsed().as_secs_f64() * 1000.0);
                }
            }));
        }
        for session in sessions {
            session.await??;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let mut took = took.take();
        took.sort_by(f64::total_cmp);
        let words = format!("IMAP, connect and log in, {} at once", many.sessions);
        Ok(Record::new(server, words)
            .with("logins per second", many.count as f64 / seconds)
            .with("a login, ms, p50", at(&took, 0.5))
            .with("a login, ms, p99", at(&took, 0.99)))
    })
}

/// `readers`
pub fn readers(server: &str, login: &Login, many: &Readers) -> Result<Record> {
    let address: SocketAddr = login.imap.parse().context("--imap wants an address and a port")?;
    ensure!(many.messages > 50, "--messages must be above 50");
    let local = LocalSet::new();
    local.block_on(&start()?, async {
        let mut letters = Letters::new("readers");
        let mut clients = Vec::new();
        for number in 0..many.clients {
            let user = number % many.users;
            let mut client = Client::enter(address, number, login, user).await?;
            if number < many.users {
                client.command("CREATE readers").await.ok();
                for n in 0..many.messages {
                    client.append("readers", letters.write(n, 4096)).await?;
                }
            }
            client.command("SELECT readers").await?;
            clients.push(client);
        }
        let took = Rc::new(RefCell::new(Vec::new()));
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for (number, mut client) in clients.into_iter().enumerate() {
            let (took, many) = (Rc::clone(&took), many.clone());
            tasks.push(tokio::task::spawn_local(async move {
                for n in 0..many.commands {
                    let from = 1 + (number * 7919 + n * 104_729) % (many.messages - 50);
                    // As a client opens a folder, goes to a page and reads some mail.
                    let command = match n % 4 {
                        0 => format!("FETCH {from}:{} (UID FLAGS RFC822.SIZE ENVELOPE)", from + 49),
                        1 => format!("UID FETCH {from}:* (FLAGS)"),
                        _ => format!("FETCH {from} (BODY.PEEK[])"),
                    };
                    let begun = Instant::now();
                    client.command(&command).await?;
                    took.borrow_mut().push(begun.elapsed().as_secs_f64() * 1000.0);
                }
                Ok::<(), anyhow::Error>(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let mut took = took.take();
        took.sort_by(f64::total_cmp);
        let words = format!("IMAP, {} clients read at once", many.clients);
        Ok(Record::new(server, words)
            .with("commands per second", took.len() as f64 / seconds)
            .with("a command, ms, p50", at(&took, 0.5))
            .with("a command, ms, p99", at(&took, 0.99)))
    })
}

fn at(sorted: &[f64], part: f64) -> f64 {
    let index = ((sorted.len() as f64 - 1.0).max(0.0) * part).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}
