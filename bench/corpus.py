#!/usr/bin/env python3
"""Appends real mail to a mailbox, for measuring what it takes on disk.

    corpus.py HOST:PORT USER PASSWORD CORPUS.tar.zst        appends over IMAP
    corpus.py --maildir FOLDER CORPUS.tar.zst               writes a file for each message, as Maildir does

Prints how many messages and octets went in (line ends as CRLF, as they come over the wire).
"""
import imaplib, os, subprocess, sys, tarfile, io


def messages(path):
    packed = subprocess.run(["zstd", "-dc", path], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            if member.isfile():
                raw = archive.extractfile(member).read()
                if raw.startswith(b"From "):
                    raw = raw.split(b"\n", 1)[1]
                yield raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


count = octets = 0
if sys.argv[1] == "--maildir":
    folder = os.path.join(sys.argv[2], "cur")
    os.makedirs(folder)
    for message in messages(sys.argv[3]):
        count, octets = count + 1, octets + len(message)
        # Dovecot and Postfix write Maildir with bare LF.
        with open(os.path.join(folder, "%d.M%dP1.host,S=%d:2," % (1, count, len(message))), "wb") as f:
            f.write(message.replace(b"\r\n", b"\n"))
else:
    host, port = sys.argv[1].rsplit(":", 1)
    server = imaplib.IMAP4(host, int(port))
    server.login(sys.argv[2], sys.argv[3])
    for message in messages(sys.argv[4]):
        if server.append("INBOX", None, None, message)[0] != "OK":
            raise SystemExit("APPEND was refused")
        count, octets = count + 1, octets + len(message)
    server.logout()
print(count, octets)
