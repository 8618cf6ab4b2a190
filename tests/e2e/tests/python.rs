//! Python's standard library: smtplib and imaplib, the clients of countless scripts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use e2e::{ADA, BOB, PASSWORD, Server, installed, python};

const SMTPLIB: &str = r#"
import smtplib, ssl, sys
from email.message import EmailMessage
from email.policy import SMTP
smtp, submission, submissions, lmtp, certificate, ada, bob, password = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
def message(subject, body='Grüße aus Python.\n', sender='sender@elsewhere.example'):
    m = EmailMessage()
    m['From'], m['To'], m['Subject'] = sender, ada, subject
    m.set_content(body)
    m.add_attachment(bytes(range(256)) * 40, maintype='application', subtype='octet-stream', filename='ä.bin')
    return m
class Server(smtplib.SMTP):
    # The certificate is for the server's name, the connection goes to the loopback address.
    def starttls(self, **more):
        self._host = 'mail.e2e.test'
        return super().starttls(**more)
with Server('127.0.0.1', int(smtp)) as s:
    assert s.send_message(message('one'), to_addrs=[ada, bob]) == {}
    for feature in ('pipelining', 'size', '8bitmime', 'smtputf8', 'chunking', 'dsn', 'enhancedstatuscodes', 'starttls'):
        assert s.has_extn(feature), feature
    assert s.verify(ada)[0] == 252
    refused = s.sendmail('a@b.example', [ada, 'nobody@e2e.test'], message('two').as_bytes(policy=SMTP))
    assert refused['nobody@e2e.test'][0] == 550, refused
    try:
        s.sendmail('a@b.example', ['nobody@e2e.test'], b'')
        raise SystemExit('a message for nobody was taken')
    except smtplib.SMTPRecipientsRefused: pass
    s.sendmail('a@b.example', [ada], message('three').as_bytes(policy=SMTP), mail_options=['BODY=8BITMIME'])
    s.sendmail('grüße@b.example', [ada], 'Subject: vier ü\r\n\r\nx\r\n'.encode(), mail_options=['SMTPUTF8', 'BODY=8BITMIME'])
with Server('127.0.0.1', int(smtp)) as s:
    s.starttls(context=context)
    s.send_message(message('five'))
for method in ('auth_plain', 'auth_login'):
    with Server('127.0.0.1', int(submission)) as s:
        s.starttls(context=context)
        s.ehlo()
        s.user, s.password = ada, password
        s.auth(method[5:].upper(), getattr(s, method))
        s.send_message(message(method, sender=ada))
with Server('127.0.0.1', int(submission)) as s:
    s.starttls(context=context)
    s.login(ada, password)
    s.send_message(message('login', sender=ada))
    try:
        s.send_message(message('another name'), from_addr=ada)
        raise SystemExit('a foreign author was taken')
    except smtplib.SMTPDataError as refusal: assert refusal.smtp_code == 550, refusal
    try:
        s.sendmail(bob, [ada], b'Subject: forged\r\n\r\n')
        raise SystemExit('a foreign sender was taken')
    except smtplib.SMTPSenderRefused: pass
    except smtplib.SMTPRecipientsRefused: pass
loose = ssl.create_default_context(cafile=certificate)
loose.check_hostname = False
with smtplib.SMTP_SSL('127.0.0.1', int(submissions), context=loose) as s:
    s.login(ada, password)
    s.send_message(message('submissions', sender=ada))
with smtplib.LMTP('127.0.0.1', int(lmtp)) as s:
    s.send_message(message('lmtp'))
"#;

const IMAPLIB: &str = r#"
import imaplib, ssl, sys, email, email.policy, time
port, tls_port, certificate, ada, bob, password = sys.argv[1:]
def done(answer):
    kind, data = answer
    assert kind == 'OK', answer
    return data
m = imaplib.IMAP4('127.0.0.1', int(port))
assert 'STARTTLS' in m.capabilities
context = ssl.create_default_context(cafile=certificate)
context.check_hostname = False
done(m.starttls(context))
done(m.login(ada, password))
capabilities = done(m.capability())[0].decode().upper().split()
for capability in ('IMAP4REV1', 'IDLE', 'UIDPLUS', 'MOVE', 'ENABLE', 'ID', 'NAMESPACE', 'CONDSTORE', 'ESEARCH', 'SPECIAL-USE'):
    assert capability in capabilities, (capability, capabilities)
count = int(done(m.select('INBOX'))[0])
subjects = []
for number in range(1, count + 1):
    answer = done(m.fetch(str(number), '(BODY.PEEK[] RFC822.SIZE)'))
    raw = answer[0]
    flat = raw[0] + answer[1]
    assert len(raw[1]) == int(flat.split(b'RFC822.SIZE ')[1].split(b')')[0].split()[0]), flat
    message = email.message_from_bytes(raw[1], policy=email.policy.default)
    subjects.append(message['subject'])
    attachments = list(message.iter_attachments()) if message.is_multipart() else []
    for attachment in attachments:
        assert attachment.get_content() == bytes(range(256)) * 40
        assert attachment.get_filename() == 'ä.bin'
wanted = ['one', 'two', 'three', 'vier ü', 'five', 'auth_plain', 'auth_login', 'login', 'submissions', 'lmtp']
assert sorted(subjects) == sorted(wanted), subjects
assert done(m.search(None, 'SUBJECT', '"auth_"'))[0].split().__len__() == 2
assert len(done(m.search(None, 'BODY', '"aus python"'))[0].split()) == 9
m.literal = 'Grüße AUS'.encode()
assert len(done(m.search('UTF-8', 'TEXT'))[0].split()) == 9
assert done(m.search(None, 'UNSEEN'))[0].split().__len__() == 10
done(m.store('1:3', '+FLAGS', r'(\Seen $Work)'))
assert done(m.search(None, 'SEEN', 'KEYWORD', '$Work'))[0] == b'1 2 3'
for name in ('Projects', 'Projects/2026', '"Entw&APw-rfe &- mehr"'): done(m.create(name))
listed = b' '.join(done(m.list()))
assert b'Projects/2026' in listed and b'Entw&APw-rfe &- mehr' in listed and b'\\Sent' in listed, listed
done(m.subscribe('Projects/2026'))
assert b'Projects/2026' in b' '.join(done(m.lsub()))
done(m.copy('1:4', 'Projects'))
done(m.uid('MOVE', '1:*', 'Projects/2026'))
assert int(done(m.select('Projects/2026'))[0]) == 10
assert done(m.status('Projects', '(MESSAGES UNSEEN)'))[0].endswith(b'(MESSAGES 4 UNSEEN 1)')
assert done(m.status('INBOX', '(MESSAGES)'))[0].endswith(b'(MESSAGES 0)')
body = b'Subject: appended\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nHi \xe4.\r\n'
uid = done(m.append('Drafts', r'(\Draft \Seen)', imaplib.Time2Internaldate(800000000), body))[0]
assert b'APPENDUID' in uid, uid
done(m.select('Drafts'))
answer = done(m.fetch('1', '(FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE BODY[HEADER.FIELDS (SUBJECT)] BODY[TEXT])'))
flat = b' '.join(b' '.join(p) if isinstance(p, tuple) else p for p in answer)
assert b'Hi \xe4.' in flat and b'Subject: appended\r\n\r\n' in flat and b'\\Draft' in flat, flat
assert imaplib.Internaldate2tuple(flat) == time.localtime(800000000), flat
assert done(m.fetch('1', '(BODY[]<9.8>)'))[0][1] == b'appended'
done(m.store('1', '+FLAGS', r'\Deleted'))
assert done(m.expunge()) == [b'1']
done(m.rename('Projects', 'Archive2'))
assert b'Archive2/2026' in b' '.join(done(m.list()))
done(m.delete('Archive2/2026'))
assert m.select('nowhere')[0] == 'NO'
try:
    m.fetch('1', '(NONSENSE)')
    raise SystemExit('nonsense was taken')
except imaplib.IMAP4.error: pass
done(m.select('Archive2'))
done(m.close())
m.logout()
with imaplib.IMAP4_SSL('127.0.0.1', int(tls_port), ssl_context=context) as m:
    done(m.authenticate('PLAIN', lambda _: ('\0' + bob + '\0' + password).encode()))
    assert int(done(m.select('INBOX', readonly=True))[0]) == 1
    assert m.store('1', '+FLAGS', r'\Seen')[0] in ('NO', 'BAD')
with imaplib.IMAP4('127.0.0.1', int(port)) as m:
    try:
        m.login(ada, 'wrong')
        raise SystemExit('a wrong password was taken')
    except imaplib.IMAP4.error as e: assert 'AUTHENTICATIONFAILED' in str(e), e
"#;

#[test]
fn smtplib_sends_and_imaplib_reads() {
    if !installed(&["python3"]) {
        return;
    }
    let server = Server::start();
    let port = |protocol| server.port_text(protocol);
    let certificate = server.certificate();
    let certificate = certificate.to_str().unwrap();
    let ports = [
        port("smtp"),
        port("submission"),
        port("submissions"),
        port("lmtp"),
        port("imap"),
        port("imaps"),
    ];
    let [smtp, submission, submissions, lmtp, imap, imaps] = ports.each_ref().map(String::as_str);
    python(
        SMTPLIB,
        &[smtp, submission, submissions, lmtp, certificate, ADA, BOB, PASSWORD],
    );
    server.imap(ADA).inbox(10);
    server.imap(BOB).inbox(1);
    python(IMAPLIB, &[imap, imaps, certificate, ADA, BOB, PASSWORD]);
    server.assert_sound();
}
