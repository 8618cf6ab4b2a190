"""Everything that imaplib can ask for, against a server on the port given."""

import imaplib
import ssl
import sys
import time

port, mode, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def context():
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


def connect():
    if mode == "immediate":
        return imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context())
    m = imaplib.IMAP4("127.0.0.1", port)
    if mode == "starttls":
        ok(m.starttls(context()))
    return m


def ok(answer, *expected):
    kind, data = answer
    assert kind == "OK", answer
    for e in expected:
        assert any(e in d for d in flat(data)), (e, data)
    return data


def flat(data):
    for d in data:
        if isinstance(d, tuple):
            yield from d
        elif d is not None:
            yield d


m = connect()
try:
    m.login(user, "wrong")
    raise SystemExit("a wrong password was taken")
except imaplib.IMAP4.error as e:
    assert "AUTHENTICATIONFAILED" in str(e), e
ok(m.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + password.encode()))
assert "IDLE" in ok(m.capability())[0].decode()
ok(m.namespace(), b'(("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))')
ok(m.getacl('INBOX'), b'INBOX ' + user.encode() + b' lrswipkxteacd')
ok(m.setacl('Drafts', 'bob@rohrpost.test', 'lrs'))
ok(m.getacl('Drafts'), b'Drafts ' + user.encode() + b' lrswipkxteacd bob@rohrpost.test lrs')
ok(m.deleteacl('Drafts', 'bob@rohrpost.test'))
ok(m.myrights('INBOX'), b'INBOX lrswipkxteacd')
typ, (roots, quotas) = m.getquotaroot('INBOX')
assert typ == 'OK' and roots == [b'INBOX ' + user.encode()] and b'MAILBOX' in quotas[0], (roots, quotas)
ok(m.getquota(user), b'MAILBOX')
typ, _ = m.setquota(user, '(STORAGE 1)')
assert typ == 'NO', typ
ok(m.create("Box"))
ok(m.subscribe("Box"))
ok(m.lsub(), b'() "/" Box')
ok(m.list(), b'(\\HasNoChildren \\Sent) "/" Sent')

message = b"From: Ada <ada@rohrpost.test>\r\nSubject: one\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n"
when = imaplib.Time2Internaldate(1700000000)
ok(m.append("Box", r"(\Seen)", when, message), b"APPENDUID")
ok(m.append("Box", None, None, message.replace(b"one", b"two")))
assert ok(m.select("Box")) == [b"2"]
assert ok(m.search(None, "ALL")) == [b"1 2"]
assert ok(m.uid("SEARCH", "SUBJECT", "two")) == [b"2"]
assert ok(m.search("UTF-8", "UNSEEN")) == [b"2"]
data = ok(m.fetch("1", "(FLAGS INTERNALDATE RFC822)"))
assert data[0][1] == message, data
assert imaplib.ParseFlags(data[1] if b"FLAGS" in data[1] else data[0][0])[0] == rb"\Seen", data
internal = imaplib.Internaldate2tuple(data[0][0])
assert time.mktime(internal) == 1700000000, data
data = ok(m.fetch("2", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
assert data[0][1] == b"Subject: two\r\n\r\n", data
ok(m.store("2", "+FLAGS", r"(\Flagged)"), rb"2 (FLAGS (\Flagged")
ok(m.copy("1:2", "Trash"), b"COPYUID")
ok(m.uid("MOVE", "1", "Archive"))
assert m.response("EXPUNGE")[1] == [b"1"]
ok(m.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
assert ok(m.expunge()) == [b"1"]
ok(m.noop())
ok(m.status("Trash", "(MESSAGES UIDNEXT UNSEEN)"), b"Trash (MESSAGES 2 UIDNEXT 3 UNSEEN 1)")
ok(m.rename("Box", "Case"))
ok(m.unsubscribe("Box"))
ok(m.select("Trash", readonly=True))
ok(m.check())
ok(m.close())
ok(m.delete("Case"))
assert m.logout()[0] == "BYE"

if mode == "plain":
    # Without TLS, SCRAM keeps the password off the wire.
    m = connect()
    import base64, hashlib, hmac

    state = {}

    def scram(challenge):
        if not challenge and "bare" not in state:
            state["bare"] = b"n=" + user.encode() + b",r=abcdef"
            return b"n,," + state["bare"]
        if challenge.startswith(b"v="):
            return b""
        fields = dict(f.split(b"=", 1) for f in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields[b"s"]), int(fields[b"i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        final = b"c=" + base64.b64encode(b"n,,") + b",r=" + fields[b"r"]
        signature = hmac.digest(hashlib.sha256(key).digest(), b",".join([state["bare"], challenge, final]), "sha256")
        return final + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))

    ok(m.authenticate("SCRAM-SHA-256", scram))
    ok(m.select())
    m.logout()
