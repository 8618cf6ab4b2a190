//! Logging in without a password: access tokens and client certificates, with Python's own clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use e2e::{ADA, BOB, PASSWORD, Server, Setup, installed, python};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use std::path::Path;

const ISSUER: &str = "https://login.e2e.test";

/// The organisation's sign-on: signs tokens with a key whose public half it publishes.
struct SignOn(EcdsaKeyPair);

impl SignOn {
    fn start(keys: &Path) -> SignOn {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let key = serde_json::json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1",
            "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..65]),
        });
        std::fs::write(keys, serde_json::json!({ "keys": [key] }).to_string()).unwrap();
        SignOn(pair)
    }

    fn token(&self, email: &str, audience: &str, lasts: i64) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": audience, "exp": now.cast_signed() + lasts, "email": email,
        });
        let header = r#"{"alg":"ES256","kid":"1"}"#;
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }
}

/// Writes what vouches for people's certificates, and a certificate with its key for `address`.
fn certificate(folder: &Path, authority: &CertifiedIssuer<'_, KeyPair>, address: &str) {
    let mut person = CertificateParams::default();
    person.distinguished_name.push(DnType::CommonName, "A person");
    person.subject_alt_names = vec![SanType::Rfc822Name(address.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let certificate = person.signed_by(&key, authority).unwrap();
    let name = address.split('@').next().unwrap();
    std::fs::write(
        folder.join(format!("{name}.pem")),
        certificate.pem() + &key.serialize_pem(),
    )
    .unwrap();
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

const SCRIPT: &str = r#"
import base64, imaplib, smtplib, ssl, sys
folder, imaps, submissions, smtp, trust, ada, bob, password, good, bobs, other, old = sys.argv[1:]

def context(person=None):
    c = ssl.create_default_context(cafile=trust)
    c.check_hostname = False
    if person: c.load_cert_chain(folder + '/' + person + '.pem')
    return c

def imap(person=None):
    return imaplib.IMAP4_SSL('127.0.0.1', int(imaps), ssl_context=context(person))

def refused(what):
    try: what()
    except (imaplib.IMAP4.error, smtplib.SMTPAuthenticationError) as e: return str(e)
    raise SystemExit('let in')

bearer = lambda who, token: ('n,a=%s,\1host=mail.e2e.test\1port=993\1auth=Bearer %s\1\1' % (who, token)).encode()
xoauth2 = lambda who, token: ('user=%s\1auth=Bearer %s\1\1' % (who, token)).encode()

for name, frame, end in (('OAUTHBEARER', bearer, b'\1'), ('XOAUTH2', xoauth2, b'')):
    m = imap()
    assert 'AUTH=' + name in m.capabilities, m.capabilities
    assert 'AUTH=EXTERNAL' not in m.capabilities
    assert m.authenticate(name, lambda _: frame(ada, good))[0] == 'OK'
    assert m.select()[0] == 'OK'
    m.logout()
    for who, token in ((bob, good), (ada, bobs), (ada, other), (ada, old), (ada, good[:-8] + 'AAAAAAAA'), ('nobody@e2e.test', good)):
        said = []
        def answer(challenge):
            said.append(challenge)
            return frame(who, token) if len(said) == 1 else end
        assert 'AUTHENTICATIONFAILED' in refused(lambda: imap().authenticate(name, answer))
        assert b'"status"' in said[1], said
    s = smtplib.SMTP_SSL('127.0.0.1', int(submissions), 'client.e2e.test', context=context())
    s.ehlo()
    assert name in s.esmtp_features['auth'], s.esmtp_features
    code, text = s.docmd('AUTH', name + ' ' + base64.b64encode(frame(ada, good)).decode())
    assert code == 235, (code, text)
    s.sendmail(ada, [bob], 'Subject: by token\r\n\r\nx\r\n')
    s.quit()
    s = smtplib.SMTP_SSL('127.0.0.1', int(submissions), 'client.e2e.test', context=context())
    s.ehlo()
    code, text = s.docmd('AUTH', name + ' ' + base64.b64encode(frame(bob, good)).decode())
    assert code == 334 and b'status' in base64.b64decode(text), (code, text)
    assert s.docmd(base64.b64encode(end).decode())[0] == 535
    s.quit()

m = imap('ada')
assert 'AUTH=EXTERNAL' in m.capabilities, m.capabilities
assert m.authenticate('EXTERNAL', lambda _: b'')[0] == 'OK'
assert m.select()[0] == 'OK'
m.logout()
assert imap('ada').authenticate('EXTERNAL', lambda _: ada.encode())[0] == 'OK'
assert 'AUTHENTICATIONFAILED' in refused(lambda: imap('ada').authenticate('EXTERNAL', lambda _: bob.encode()))
assert 'AUTHENTICATIONFAILED' in refused(lambda: imap('nobody').authenticate('EXTERNAL', lambda _: b''))
# A certificate is no must, and does not get in the way of a password.
assert imap('ada').login(bob, password)[0] == 'OK'
s = smtplib.SMTP_SSL('127.0.0.1', int(submissions), 'client.e2e.test', context=context('ada'))
s.ehlo()
assert s.docmd('AUTH', 'EXTERNAL =')[0] == 235
s.sendmail(ada, [bob], 'Subject: by certificate\r\n\r\nx\r\n')
s.quit()
# One that nobody vouches for ends the handshake, or at the latest the first read.
try:
    imap('mallory')
    raise SystemExit('a certificate of a stranger was taken')
except (ssl.SSLError, ConnectionError, imaplib.IMAP4.abort): pass
# Other servers are not asked for one, so that what they have does not matter.
s = smtplib.SMTP('127.0.0.1', int(smtp), 'client.e2e.test')
s.starttls(context=context('mallory'))
s.ehlo()
assert 'auth' not in s.esmtp_features
s.quit()
"#;

#[test]
fn tokens_and_certificates_let_people_in() {
    if !installed(&["python3"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let sign_on = SignOn::start(&at("keys.json"));
    let (ours, strange) = (authority("Ours"), authority("A stranger"));
    std::fs::write(at("ca.pem"), ours.pem()).unwrap();
    certificate(folder.path(), &ours, ADA);
    certificate(folder.path(), &ours, "nobody@e2e.test");
    certificate(folder.path(), &strange, "mallory@e2e.test");
    let settings = format!(
        "client_ca = \"{}\"\n[limits]\nlogin_failure_delay = \"10 ms\"\n[oauth]\nissuer = \"{ISSUER}\"\naudience = \"rohrpost\"\nkeys = \"{}\"\n",
        at("ca.pem").display(),
        at("keys.json").display()
    );
    // The keys follow those of [tls].
    let server = Server::start_with(Setup {
        settings,
        ..Setup::default()
    });

    let trust = server.certificate();
    let arguments = [
        folder.path().to_str().unwrap(),
        &server.port_text("imaps"),
        &server.port_text("submissions"),
        &server.port_text("smtp"),
        trust.to_str().unwrap(),
        ADA,
        BOB,
        PASSWORD,
        &sign_on.token(ADA, "rohrpost", 300),
        &sign_on.token(BOB, "rohrpost", 300),
        &sign_on.token(ADA, "webmail", 300),
        &sign_on.token(ADA, "rohrpost", -300),
    ];
    python(SCRIPT, &arguments);
    server.imap(BOB).inbox(3);
}
