//! A certificate authority of the test's own: Pebble, the test server of those who run Let's Encrypt, which really looks.

use crate::ports::free_port;
use crate::tools::{installed, run};
use crate::wait_for;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How it is set up.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// Where it looks over HTTP.
    pub http: u16,
    /// And by TLS.
    pub https: u16,
    /// Whom it asks for names.
    pub dns: SocketAddr,
    /// How long its certificates are good, in seconds.
    pub validity: u32,
    /// Whether it wants to know who comes: "kid-1", with [`Pebble::BINDING`].
    pub binding: bool,
}

/// A running authority.
#[derive(Debug)]
pub struct Pebble {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
    management: u16,
    /// What stands before it and says when to renew, with its port.
    front: Option<(Child, u16)>,
}

impl Pebble {
    /// The key of "kid-1", base64url.
    pub const BINDING: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

    /// Whether it can be had here; if not, it has been said that the test is skipped.
    pub fn available() -> bool {
        installed(&["pebble", "pebble-challtestsrv", "curl", "openssl"])
    }

    /// Starts it.
    pub fn start(looks: &Looks) -> Pebble {
        let folder = tempfile::tempdir().unwrap();
        let (port, management) = (free_port(), free_port());
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "the test's own root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let own = own.signed_by(&key, &root).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        write("root.pem", root.pem());
        let settings = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": write("cert.pem", own.pem()),
            "privateKey": write("key.pem", key.serialize_pem()),
            "httpPort": looks.http,
            "tlsPort": looks.https,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": looks.binding,
            "externalAccountMACKeys": { "kid-1": Pebble::BINDING },
            "certificateValidityPeriod": looks.validity,
        }});
        let file = write("pebble.json", settings.to_string());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new("pebble")
            .arg("-config")
            .arg(file)
            .args(["-dnsserver", &looks.dns.to_string(), "-strict"])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let pebble = Pebble {
            process,
            folder,
            port,
            management,
            front: None,
        };
        listens(port);
        listens(management);
        pebble
    }

    /// The same, and it says when certificates are to be renewed (RFC 9773): the first at once, further ones in a year. Needs Python.
    #[must_use]
    pub fn saying_when(mut self) -> Pebble {
        let port = free_port();
        let front = Command::new("python3")
            .args(["-c", include_str!("renewal_info.py")])
            .args([port.to_string(), self.port.to_string()])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.front = Some((front, port));
        listens(port);
        self
    }

    /// What it was asked about renewing, and which orders replaced what, line by line.
    pub fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("renewal-info.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Its directory.
    pub fn directory(&self) -> String {
        let port = self.front.as_ref().map_or(self.port, |(_, port)| *port);
        format!("https://localhost:{port}/dir")
    }

    /// The certificate that vouches for the directory.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// The certificate that vouches for those which it gives out.
    pub fn root(&self) -> PathBuf {
        let path = self.folder.path().join("issuer.pem");
        let url = format!("https://localhost:{}/roots/0", self.management);
        let arguments = ["-sS", "--fail", "--cacert"].map(str::to_owned);
        let own = [self.ca().display().to_string(), url];
        let got = run("curl", arguments.into_iter().chain(own));
        std::fs::write(&path, got.out).unwrap();
        path
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        if let Some((front, _)) = &mut self.front {
            let _ = front.kill();
            let _ = front.wait();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A name server that is told what to say, by HTTP; every name leads to this machine.
#[derive(Debug)]
pub struct Names {
    process: Child,
    /// Where it answers.
    pub address: SocketAddr,
    /// Where it is told.
    pub management: u16,
}

impl Names {
    /// Starts it.
    pub fn start() -> Names {
        let (dns, management) = (free_port(), free_port());
        let process = Command::new("pebble-challtestsrv")
            .args(["-dns01", &format!("127.0.0.1:{dns}")])
            .args(["-management", &format!("127.0.0.1:{management}")])
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let names = Names {
            process,
            address: ([127, 0, 0, 1], dns).into(),
            management,
        };
        listens(management);
        listens(dns);
        names
    }

    /// A hook that tells it, and writes down how it was called.
    pub fn hook(&self, folder: &Path) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.join("hook");
        let script = format!(
            "#!/bin/sh\nset -e\necho \"$@\" >>{}/calls\ncase $1 in present) way=set-txt ;; cleanup) way=clear-txt ;; esac\n\
             curl -sS --fail -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" http://127.0.0.1:{}/$way\n",
            folder.display(),
            self.management
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn listens(port: u16) {
    wait_for("a port", Duration::from_secs(20), || {
        TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
    });
}
