//! What HTTP tells other people's programs: read by them, and then used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{ADA, NameServer, PASSWORD, Server, Setup, Zone, installed, python, required, run, skipped};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::{Path, PathBuf};

/// A certificate for the host and its domain's names, and what vouches for it.
fn certificate(folder: &Path) -> PathBuf {
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "the test's own root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["mail", "mta-sts", "autoconfig", "autodiscover"].map(|label| format!("{label}.e2e.test"));
    let own = CertificateParams::new(names).unwrap().signed_by(&key, &root).unwrap();
    std::fs::write(folder.join("own.pem"), own.pem()).unwrap();
    std::fs::write(folder.join("own.key"), key.serialize_pem()).unwrap();
    let path = folder.join("root.pem");
    std::fs::write(&path, root.pem()).unwrap();
    path
}

fn start(folder: &Path) -> Server {
    let settings = format!(
        "[[listener]]\nprotocol = \"https\"\nbind = \"127.0.0.1:0\"\n[tls]\ncertificate = \"{0}/own.pem\"\nkey = \"{0}/own.key\"\n",
        folder.display()
    );
    Server::start_with(Setup {
        settings,
        own_certificate: true,
        ..Setup::default()
    })
}

/// Reads what each kind of program is told, and logs in at every place that it names, in the way that it names.
const PROGRAMS: &str = r#"
import http.client, imaplib, plistlib, poplib, smtplib, ssl, sys, xml.etree.ElementTree as ET
https, root, address, password = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=root)
context.check_hostname = False

def ask(method, host, path, body=None):
    c = http.client.HTTPSConnection('127.0.0.1', https, context=context, timeout=20)
    c.request(method, path, body, {'Host': host})
    answer = c.getresponse()
    assert answer.status == 200, (path, answer.status)
    return answer.getheader('Content-Type'), answer.read()

def log_in(kind, host, port, encryption, user):
    assert host == 'mail.e2e.test', host
    if kind == 'imap':
        c = imaplib.IMAP4_SSL('127.0.0.1', port, ssl_context=context) if encryption == 'ssl' else imaplib.IMAP4('127.0.0.1', port)
        if encryption == 'starttls': c.starttls(context)
        assert c.login(user, password)[0] == 'OK'
        c.logout()
    elif kind == 'pop3':
        c = poplib.POP3_SSL('127.0.0.1', port, context=context) if encryption == 'ssl' else poplib.POP3('127.0.0.1', port)
        if encryption == 'starttls': c.stls(context)
        c.user(user); c.pass_(password); c.quit()
    else:
        c = smtplib.SMTP_SSL('127.0.0.1', port, context=context) if encryption == 'ssl' else smtplib.SMTP('127.0.0.1', port)
        if encryption == 'starttls': c.starttls(context=context)
        c.login(user, password); c.quit()
    print(source, kind, encryption)

source = 'autoconfig'
kind, body = ask('GET', 'autoconfig.e2e.test', '/mail/config-v1.1.xml?emailaddress=' + address)
assert kind.startswith('text/xml'), kind
provider = ET.fromstring(body).find('emailProvider')
assert provider.findtext('domain') == 'e2e.test'
for server in provider.findall('incomingServer') + provider.findall('outgoingServer'):
    encryption = {'SSL': 'ssl', 'STARTTLS': 'starttls'}[server.findtext('socketType')]
    assert server.findtext('authentication') == 'password-cleartext'
    user = server.findtext('username').replace('%EMAILADDRESS%', address)
    log_in(server.get('type'), server.findtext('hostname'), int(server.findtext('port')), encryption, user)

source = 'autodiscover'
question = ET.Element('Autodiscover', xmlns='http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006')
request = ET.SubElement(question, 'Request')
ET.SubElement(request, 'EMailAddress').text = address
schema = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a'
ET.SubElement(request, 'AcceptableResponseSchema').text = schema
_, body = ask('POST', 'autodiscover.e2e.test', '/Autodiscover/Autodiscover.xml', ET.tostring(question, 'utf-8', xml_declaration=True))
a = {'a': schema}
for p in ET.fromstring(body).findall('.//a:Protocol', a):
    kind = {'IMAP': 'imap', 'POP3': 'pop3', 'SMTP': 'smtp'}[p.findtext('a:Type', None, a)]
    encryption = {'SSL': 'ssl', 'TLS': 'starttls'}[p.findtext('a:Encryption', None, a)]
    log_in(kind, p.findtext('a:Server', None, a), int(p.findtext('a:Port', None, a)), encryption, p.findtext('a:LoginName', None, a))

source = 'apple'
kind, body = ask('GET', 'mail.e2e.test', '/mail.mobileconfig?email=' + address)
assert kind.startswith('application/x-apple-aspen-config'), kind
profile = plistlib.loads(body)
mail, = profile['PayloadContent']
assert mail['EmailAddress'] == address and mail['PayloadType'] == 'com.apple.mail.managed'
assert profile['PayloadUUID'] != mail['PayloadUUID'] and profile['PayloadVersion'] == 1
assert profile == plistlib.loads(ask('GET', 'e2e.test', '/mail.mobileconfig?email=' + address)[1])
for way, kind in ('Incoming', 'imap'), ('Outgoing', 'smtp'):
    assert mail[way + 'MailServerUseSSL'] is True
    log_in(kind, mail[way + 'MailServerHostName'], mail[way + 'MailServerPortNumber'], 'ssl', mail[way + 'MailServerUsername'])
"#;

#[test]
fn programs_find_what_they_can_use() {
    if !installed(&["python3"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = certificate(folder.path());
    let server = start(folder.path());
    let port = server.port_text("https");
    let used = python(PROGRAMS, &[&port, root.to_str().unwrap(), ADA, PASSWORD]);
    for wanted in [
        "autoconfig imap ssl",
        "autoconfig imap starttls",
        "autoconfig pop3 ssl",
        "autoconfig smtp ssl",
        "autoconfig smtp starttls",
        "autodiscover imap ssl",
        "autodiscover pop3 ssl",
        "autodiscover smtp ssl",
        "apple imap ssl",
        "apple smtp ssl",
    ] {
        assert!(used.lines().any(|line| line == wanted), "{wanted}\n{used}");
    }
}

/// Horde's reader of autoconfig (Debian's php-horde-mail-autoconfig); the connections it makes go to the server under test.
const HORDE: &str = r#"<?php
error_reporting(E_ALL & ~E_DEPRECATED);
spl_autoload_register(function ($class) {
    $file = '/usr/share/php/' . str_replace(['_', '\\'], '/', $class) . '.php';
    if (is_file($file)) require $file;
});
class Answer {
    public $code; public $body;
    function getBody() { return $this->body; }
}
class Http {
    public $port;
    function get($url) {
        $parts = parse_url($url);
        $answer = new Answer();
        $context = stream_context_create(['http' => ['header' => "Host: {$parts['host']}\r\n", 'ignore_errors' => true]]);
        $query = isset($parts['query']) ? '?' . $parts['query'] : '';
        $answer->body = file_get_contents("http://127.0.0.1:{$this->port}{$parts['path']}$query", false, $context);
        preg_match('/ (\d+)/', $http_response_header[0], $status);
        $answer->code = (int) $status[1];
        return $answer;
    }
}
$driver = new Horde_Mail_Autoconfig_Driver_Thunderbird();
$driver->http = new Http();
$driver->http->port = $argv[1];
foreach (['ada@e2e.test', 'nobody-at-all@e2e.test', 'ada@elsewhere.test'] as $text) {
    $address = new Horde_Mail_Rfc822_Address($text);
    $options = ['email' => $address];
    $domains = [$address->host];
    foreach (['mailSearch', 'msaSearch'] as $search) {
        foreach ($driver->$search($domains, $options) ?: [] as $found) {
            echo "$text ", get_class($found), " $found->host $found->port ", $found->tls ?: 'later', " $found->username\n";
        }
    }
}
"#;

#[test]
fn horde_reads_it() {
    if !installed(&["php"]) {
        return;
    }
    if !Path::new("/usr/share/php/Horde/Mail/Autoconfig.php").exists() {
        assert!(!required(), "php-horde-mail-autoconfig is not installed");
        return skipped("php-horde-mail-autoconfig is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let server = start(folder.path());
    let script = folder.path().join("horde.php");
    std::fs::write(&script, HORDE).unwrap();
    let found = run("php", [script.to_str().unwrap(), &server.port_text("http")]).text();
    let of = |who: &str| -> Vec<String> {
        let lines = found.lines().filter_map(|line| line.strip_prefix(&format!("{who} ")));
        lines.map(|line| line.replace(who, "WHO")).collect()
    };
    let ada = of(ADA);
    for (class, protocol) in [("Imap", "imaps"), ("Pop3", "pop3s"), ("Msa", "submissions")] {
        let wanted = format!(
            "Horde_Mail_Autoconfig_Server_{class} mail.e2e.test {} tls WHO",
            server.port(protocol)
        );
        assert!(ada.contains(&wanted), "{wanted}\n{found}");
    }
    // Somebody who has no account is told the same, and of another domain nothing is known.
    assert_eq!(of("nobody-at-all@e2e.test"), ada);
    assert!(of("ada@elsewhere.test").is_empty(), "{found}");
}

/// What Postfix asks by: postfix-mta-sts-resolver, with its DNS and its connections led to this test's.
const RESOLVER: &str = r#"
import asyncio, ssl, sys
import aiodns, aiohttp
from postfix_mta_sts_resolver import resolver
dns, https, root = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

class Here(aiohttp.abc.AbstractResolver):
    async def resolve(self, host, port=0, family=0):
        assert port == 443, port
        return [dict(hostname=host, host='127.0.0.1', port=https, family=2, proto=0, flags=0)]
    async def close(self): pass

class Session(aiohttp.ClientSession):
    def __init__(self, **options):
        context = ssl.create_default_context(cafile=root)
        super().__init__(connector=aiohttp.TCPConnector(resolver=Here(), ssl=context), **options)

async def main():
    resolver.aiohttp.ClientSession = Session
    loop = asyncio.get_running_loop()
    one = resolver.STSResolver(loop=loop, timeout=20)
    one._resolver = aiodns.DNSResolver(nameservers=['127.0.0.1'], udp_port=dns, tcp_port=dns, loop=loop)
    for domain in sys.argv[4:]:
        result, policy = await one.resolve(domain)
        print(domain, result.name, policy and (policy[0], policy[1]['mode'], policy[1]['mx'], policy[1]['max_age']))

asyncio.run(main())
"#;

#[test]
fn the_policy_is_found_by_what_postfix_asks_with() {
    if !installed(&["mta-sts-query"]) || !NameServer::available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = certificate(folder.path());
    let server = start(folder.path());
    let printed = server.admin(&["dns", "--zone"]).text();
    let id = printed.split("v=STSv1; id=").nth(1).unwrap().split('"').next().unwrap();
    let names = NameServer::start(&[
        Zone::unsigned("test", "ns A 127.0.0.1\n"),
        Zone::unsigned("e2e.test", &format!("{printed}\nmail A 127.0.0.1\n")),
    ]);
    let dns = names.address.port().to_string();
    let arguments = [
        "-c",
        RESOLVER,
        &dns,
        &server.port_text("https"),
        root.to_str().unwrap(),
        "e2e.test",
        "other.test",
    ];
    let found = run("/usr/bin/python3", arguments).text();
    assert!(
        found.contains(&format!(
            "e2e.test VALID ('{id}', 'testing', ['mail.e2e.test'], 604800)"
        )),
        "{found}"
    );
    assert!(found.contains("other.test NONE None"), "{found}");
}
