//! Mail libraries that programs are built on: PyPI's IMAPClient, aioimaplib and imap_tools, Perl's Mail::IMAPClient. What each of them has,
//! tried once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::path::PathBuf;
use std::time::Duration;

use e2e::{ADA, PASSWORD, Server, installed, made_up, required, run_unchecked, skipped};

/// Python with the libraries of `tests/install-tools.sh`. `None`: not there, and it has been said that the test is skipped.
fn python_with(module: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let folder =
        std::env::var_os("ROHRPOST_TEST_PYTHON").map_or_else(|| home.join(".cache/rohrpost/python"), PathBuf::from);
    let python = folder.join("bin/python3");
    let import = format!("import {module}");
    if python.exists() && run_unchecked("env", [python.as_os_str(), "-c".as_ref(), import.as_ref()], None).success {
        return Some(python);
    }
    assert!(
        !required(),
        "{module} is not in {}; tests/install-tools.sh installs it",
        folder.display()
    );
    skipped(&format!("{module} is not in {}", folder.display()));
    None
}

/// Runs a script with the server's ports, certificate and account.
fn check(server: &Server, interpreter: &str, script: &str) {
    let file = server.folder().join("script");
    std::fs::write(&file, script).unwrap();
    let certificate = server.certificate();
    let arguments = [
        interpreter,
        file.to_str().unwrap(),
        &server.port_text("imap"),
        &server.port_text("imaps"),
        certificate.to_str().unwrap(),
        ADA,
        PASSWORD,
    ];
    let ran = run_unchecked("env", arguments, None);
    assert!(ran.success, "{}{}", ran.text(), ran.err);
    server.assert_sound();
}

fn filled() -> Server {
    let server = Server::start();
    let mut imap = server.imap(ADA);
    for size in [10, 1000, 100_000] {
        assert!(imap.append("INBOX", "", &made_up(size)).ok());
    }
    imap.wait_for_messages("INBOX", 3, Duration::from_secs(10));
    server
}

const IMAPCLIENT: &str = r#"
import datetime, ssl, sys
from imapclient import IMAPClient, FLAGGED, SEEN
port, tls_port, certificate, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
context.check_hostname = False
for way in ('plain', 'starttls', 'tls'):
    c = IMAPClient('127.0.0.1', port=int(tls_port if way == 'tls' else port), ssl=way == 'tls', ssl_context=context if way == 'tls' else None)
    if way == 'starttls': c.starttls(context)
    if way == 'plain': c.login(user, password)
    elif way == 'tls': c.plain_login(user, password)
    else: c.sasl_login('PLAIN', lambda _: ('\0' + user + '\0' + password).encode())
    c.enable('CONDSTORE')
    assert c.namespace()[0] == (('', '/'),)
    for name in ('Ümläut', 'a & b', '日本語/子', 'with "quote"', 'back\\slash', 'emoji 😀', ' lead', 'trail '):
        c.create_folder(name)
        assert c.folder_exists(name), name
        c.subscribe_folder(name)
        assert name in [folder for _, _, folder in c.list_sub_folders()], name
        assert c.select_folder(name)[b'EXISTS'] == 0
        assert c.folder_status(name)[b'MESSAGES'] == 0
        c.rename_folder(name, 'new')
        c.delete_folder('new')
    try:
        c.subscribe_folder('this folder is not likely to exist')
        raise SystemExit('subscribed to nothing')
    except IMAPClient.Error: pass
    c.create_folder('work')
    when = datetime.datetime(1999, 1, 2, 3, 4, 5)
    c.append('work', b'Subject: one\r\n\r\nbody\r\n', flags=[SEEN, b'$Kw'], msg_time=when)
    c.multiappend('work', [b'Subject: two\r\n\r\nx', {'msg': b'Subject: three\r\n\r\nx', 'flags': [FLAGGED], 'date': when}])
    c.select_folder('work')
    c.normalise_times = True
    ids = c.search()
    assert len(ids) == 3 and len(c.search(['SUBJECT', 'two', 'NOT', 'SEEN'])) == 1
    assert c.search(['SUBJECT', 'für'], 'UTF-8') == []
    fetched = c.fetch(ids, ['FLAGS', 'ENVELOPE', 'BODYSTRUCTURE', 'INTERNALDATE', 'RFC822.SIZE', 'BODY[]', 'MODSEQ'])
    assert fetched[ids[0]][b'ENVELOPE'].subject == b'one' and fetched[ids[0]][b'INTERNALDATE'] == when
    assert c.fetch(ids, ['FLAGS'], ['CHANGEDSINCE 1']).keys() == fetched.keys()
    assert set(c.sort('REVERSE SUBJECT')) == set(ids) and len(c.thread()) == 3
    c.add_flags(ids, [FLAGGED, 'Custom'])
    assert b'Custom' in c.get_flags(ids)[ids[2]]
    c.remove_flags(ids, ['Custom'])
    c.set_flags(ids[:1], [SEEN])
    c.copy(ids, 'INBOX')
    c.move(ids[:1], 'INBOX')
    c.delete_messages(ids[1:2])
    c.expunge()
    assert c.search() == ids[2:]
    c.idle()
    c.idle_check(timeout=0.05)
    c.idle_done()
    assert c.get_quota_root('INBOX')[0].quota_roots == [user]
    assert c.getacl('work')[0][0] == user.encode()
    c.unselect_folder()
    c.delete_folder('work')
    c.logout()
"#;

const AIOIMAPLIB: &str = r#"
import asyncio, ssl, sys
import aioimaplib
port, tls_port, certificate, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
context.check_hostname = False
async def main():
    for tls in (False, True):
        make = aioimaplib.IMAP4_SSL if tls else aioimaplib.IMAP4
        more = {'ssl_context': context} if tls else {}
        c = make(host='127.0.0.1', port=int(tls_port if tls else port), timeout=20, **more)
        await c.wait_hello_from_server()
        async def ok(answer):
            answer = await answer
            assert answer.result == 'OK', answer
            return answer.lines
        await ok(c.login(user, password))
        # It writes ID ( "name" "x" ).
        await ok(c.id(name='x', version='1'))
        await ok(c.namespace())
        await ok(c.list('""', '*'))
        await ok(c.select('INBOX'))
        lines = await ok(c.uid('fetch', '1:*', '(FLAGS BODY.PEEK[])'))
        assert sum(len(line) for line in lines) > 100_000
        await ok(c.search('UNSEEN'))
        await ok(c.uid_search('SUBJECT "no such"'))
        await ok(c.store('1', '+FLAGS', r'(\Flagged)'))
        await ok(c.copy('1', 'Trash'))
        idle = await c.idle_start(timeout=20)
        other = aioimaplib.IMAP4(host='127.0.0.1', port=int(port), timeout=20)
        await other.wait_hello_from_server()
        await ok(other.login(user, password))
        await ok(other.append(b'Subject: pushed\r\n\r\nx\r\n', 'INBOX'))
        pushed = await c.wait_server_push()
        assert any(line.endswith(b'EXISTS') for line in pushed), pushed
        c.idle_done()
        await asyncio.wait_for(idle, 20)
        await ok(c.move('1', 'Trash'))
        await ok(c.expunge())
        await ok(c.getquotaroot('INBOX'))
        await ok(other.logout())
        await ok(c.logout())
asyncio.run(main())
"#;

const IMAP_TOOLS: &str = r#"
import datetime, sys
from imap_tools import AND, NOT, OR, U, MailBoxUnencrypted, MailMessageFlags
port, tls_port, certificate, user, password = sys.argv[1:]
with MailBoxUnencrypted('127.0.0.1', int(port)).login(user, password) as m:
    for name in ('it/ünter & co', 'q"q', 'e😀'):
        m.folder.create(name)
        assert m.folder.exists(name), name
        m.folder.set(name)
        assert m.folder.status(name)['MESSAGES'] == 0
        m.folder.rename(name, name + '2')
        m.folder.subscribe(name + '2', True)
    m.folder.set('INBOX')
    assert len(m.uids()) == 3 and len(m.numbers()) == 3
    assert len(list(m.fetch(mark_seen=False, bulk=2))) == 3
    assert len(list(m.fetch(headers_only=True, mark_seen=False))) == 3
    criteria = AND(OR(from_='nobody', seen=False), NOT(flagged=True), date_gte=datetime.date(2000, 1, 1), size_gt=1, uid=U('1', '*'))
    assert len(m.uids(criteria)) == 3
    assert m.uids(AND(text='für'), charset='UTF-8') == []
    assert len(m.uids(sort='REVERSE DATE')) == 3
    m.flag(m.uids(), [MailMessageFlags.FLAGGED, '$x'], True)
    m.copy(m.uids(), 'q"q2')
    m.move(m.uids()[:1], 'e😀2')
    m.append(b'Subject: x\r\n\r\ny', 'it/ünter & co2', dt=datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), flag_set=[MailMessageFlags.SEEN])
    m.folder.set('q"q2')
    assert len(m.uids(AND(keyword='$x'))) == 3
    m.delete(m.uids())
    assert m.uids() == []
    m.folder.set('INBOX')
    assert len(m.uids()) == 2
    for name in ('it/ünter & co2', 'q"q2', 'e😀2'):
        m.folder.delete(name)
"#;

const MAIL_IMAPCLIENT: &str = r#"
use strict; use warnings; use Mail::IMAPClient;
my ($port, $tls_port, $certificate, $user, $password) = @ARGV;
my @tls = (SSL_ca_file => $certificate, SSL_verifycn_name => 'mail.e2e.test');
for my $way ([Port => $port], [Port => $port, Starttls => [@tls]], [Port => $tls_port, Ssl => [@tls]], [Port => $port, Authmechanism => 'PLAIN'],
    [Port => $port, Authmechanism => 'LOGIN'], [Port => $port, Compress => 1]) {
    my $i = Mail::IMAPClient->new(Server => '127.0.0.1', @$way, User => $user, Password => $password, Uid => 1, Peek => 1) or die "@$way: $@";
    my $ok = sub { my ($what, $value) = @_; defined $value or die "@$way: $what: " . ($i->LastError // '') . "\n"; $value };
    $ok->(folders => scalar $i->folders);
    $ok->(create => $i->create('pl/x y'));
    $ok->(exists => $i->exists('pl/x y'));
    $ok->(append => $i->append_string('pl/x y', "Subject: z\r\n\r\ny", '\\Seen $l', '12-Jan-2001 10:00:00 +0100'));
    $ok->(select => $i->select('INBOX'));
    my @m = $i->messages;
    $ok->(search => scalar $i->search('SUBJECT', $i->Quote('no such'), 'UNSEEN') || 0);
    $ok->(sort => scalar $i->sort('(REVERSE DATE)', 'UTF-8', 'ALL'));
    $ok->(thread => scalar $i->thread);
    keys %{$i->fetch_hash('FLAGS', 'INTERNALDATE', 'RFC822.SIZE')} == @m or die 'fetch_hash';
    $ok->(message => $i->message_string($m[0]));
    $ok->(structure => $i->get_bodystructure($m[0]));
    $ok->(envelope => $i->get_envelope($m[0]));
    $ok->(flag => $i->set_flag('Flagged', $m[0]));
    $ok->(unflag => $i->unset_flag('Flagged', $m[0]));
    $ok->(copy => $i->copy('pl/x y', $m[0]));
    $ok->(move => $i->move('pl/x y', $i->copy('INBOX', $m[1])));
    $ok->(expunge => $i->expunge);
    my $tag = $ok->(idle => $i->idle);
    $ok->(done => $i->done($tag));
    $ok->(status => $i->status('pl/x y', 'MESSAGES'));
    $ok->(setacl => $i->setacl('pl/x y', 'bob@e2e.test', 'lr'));
    $ok->(getacl => $i->getacl('pl/x y'));
    $ok->(rename => $i->rename('pl/x y', 'pl/"q'));
    $ok->(delete => $i->delete($_)) for 'pl/"q', 'pl';
    $ok->(logout => $i->logout);
}
"#;

#[test]
fn imapclient_does_all_it_can() {
    if let Some(python) = python_with("imapclient") {
        check(&filled(), python.to_str().unwrap(), IMAPCLIENT);
    }
}

#[test]
fn aioimaplib_does_all_it_can() {
    if let Some(python) = python_with("aioimaplib") {
        check(&filled(), python.to_str().unwrap(), AIOIMAPLIB);
    }
}

#[test]
fn imap_tools_does_all_it_can() {
    if let Some(python) = python_with("imap_tools") {
        check(&filled(), python.to_str().unwrap(), IMAP_TOOLS);
    }
}

#[test]
fn mail_imapclient_does_all_it_can() {
    if !installed(&["perl"]) {
        return;
    }
    if !run_unchecked("perl", ["-MMail::IMAPClient", "-MIO::Socket::SSL", "-e", "1"], None).success {
        assert!(
            !required(),
            "Mail::IMAPClient is not there; tests/install-tools.sh installs it"
        );
        return skipped("Mail::IMAPClient is not there");
    }
    check(&filled(), "perl", MAIL_IMAPCLIENT);
}
